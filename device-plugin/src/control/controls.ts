/** The control files of all containers, kept open and written again when something changes, and as a sign of life. */
import { existsSync, rmSync } from "node:fs";
import { type ControlBlock, ControlFile, type ControlInput } from "@loretoken/telemetry/control";
import type { Holding } from "../holding.ts";
import { type Log, messageOf } from "../log.ts";
import { blockOf, type PolicyBlock, type Verdict } from "./block.ts";

/** What the agent needs of a control file. */
export interface ControlWriter {
  write(block: ControlInput): void;
  /** A sign of life alone; the rest stays. */
  beat(heartbeat: bigint): void;
  /** @throws {Error} if what is there cannot be understood */
  read(): ControlBlock;
  close(): void;
}

export interface ControlWriters {
  /** Makes the file, whole. */
  create(path: string, block: ControlInput): ControlWriter;
  /** Opens one that is there. */
  open(path: string): ControlWriter;
}

export const controlWriters: ControlWriters = ControlFile;

export interface ControlsOptions {
  /** For containers that go by no policy. */
  readonly defaults: PolicyBlock;
  /** Whether policies will be told: containers of before then keep theirs until `setPolicy`. */
  readonly policiesFollow?: boolean;
  readonly writers: ControlWriters;
  readonly log: Log;
  /** CLOCK_MONOTONIC in nanoseconds. */
  readonly monotonic: () => bigint;
}

/** A file that is open, and what was last written to it whole. */
interface Open {
  readonly writer: ControlWriter;
  policy?: PolicyBlock;
  verdict?: Verdict | undefined;
  guaranteed?: bigint;
  virtualSize?: bigint;
}

export class Controls {
  readonly #options: ControlsOptions;
  readonly #open = new Map<string, Open>();
  readonly #verdicts = new Map<string, Verdict>();
  /** Of containers that do not go by the defaults. */
  readonly #policies = new Map<string, PolicyBlock>();
  #defaults: PolicyBlock;

  constructor(options: ControlsOptions) {
    this.#options = options;
    this.#defaults = options.defaults;
  }

  /** What holds for containers without a policy from the next `writeAll` on. */
  set defaults(defaults: PolicyBlock) {
    this.#defaults = defaults;
  }

  /** What holds for this container from the next `writeAll` on; undefined: the defaults. Another object is another policy. */
  setPolicy(id: string, policy: PolicyBlock | undefined): void {
    if (policy === undefined) this.#policies.delete(id);
    else this.#policies.set(id, policy);
  }

  setVerdict(gpuUuid: string, verdict: Verdict | undefined): void {
    if (verdict === undefined) this.#verdicts.delete(gpuUuid);
    else this.#verdicts.set(gpuUuid, verdict);
  }

  /** Makes the file of a new allocation at this path, which may be moved afterwards. @throws what the disk does. */
  create(holding: Holding, path: string): void {
    this.forget(holding.id);
    this.#open.set(holding.id, { writer: this.#options.writers.create(path, this.#block(holding)) });
  }

  /**
   * Takes up the file of an allocation of before. One that is missing or damaged is made anew: the container's next start
   * sees it; one that runs keeps what it has.
   * @throws what the disk does.
   */
  adopt(holding: Holding): void {
    const { writers, log } = this.#options;
    try {
      const writer = writers.open(holding.control);
      this.#open.set(holding.id, { writer });
      this.#keepPolicy(holding.id, writer);
    } catch (error) {
      log.warn(
        { allocation: holding.id, error: messageOf(error), missing: !existsSync(holding.control) },
        "control file made anew",
      );
      rmSync(holding.control, { force: true });
      this.#open.set(holding.id, { writer: writers.create(holding.control, this.#block(holding)) });
    }
  }

  /** Before a container starts: its file must be there. @throws as `adopt`. */
  ensure(holding: Holding): void {
    if (this.#open.has(holding.id) && existsSync(holding.control)) return;
    const policy = this.#policies.get(holding.id);
    this.forget(holding.id);
    this.setPolicy(holding.id, policy);
    this.adopt(holding);
  }

  /**
   * Writes all files: verdicts, policy and heartbeat as they are now. Where only the heartbeat is another, which is nearly always,
   * it alone is written. One that fails hinders no other.
   */
  writeAll(holdings: readonly Holding[]): void {
    for (const holding of holdings) {
      try {
        this.#write(holding);
      } catch (error) {
        this.#options.log.error({ allocation: holding.id, error: messageOf(error) }, "control file not written");
      }
    }
  }

  forget(id: string): void {
    this.#open.get(id)?.writer.close();
    this.#open.delete(id);
    this.#policies.delete(id);
  }

  close(): void {
    for (const id of [...this.#open.keys()]) this.forget(id);
  }

  #write(holding: Holding): void {
    const open = this.#open.get(holding.id);
    if (open === undefined) return;
    const { guaranteed, virtualSize, gpuUuid } = holding;
    const [policy, verdict] = [this.#policyOf(holding), this.#verdicts.get(gpuUuid)];
    const same =
      open.policy === policy &&
      open.verdict === verdict &&
      open.guaranteed === guaranteed &&
      open.virtualSize === virtualSize;
    if (same) {
      open.writer.beat(this.#options.monotonic());
      return;
    }
    open.writer.write(this.#block(holding));
    Object.assign(open, { policy, verdict, guaranteed, virtualSize });
  }

  #policyOf({ id }: Holding): PolicyBlock {
    return this.#policies.get(id) ?? this.#defaults;
  }

  /** What the container went by stays until it is known what policies say now. */
  #keepPolicy(id: string, writer: ControlWriter): void {
    if (this.#options.policiesFollow !== true || this.#policies.has(id)) return;
    try {
      const { heartbeat: _, devices: __, ...policy } = writer.read();
      this.#policies.set(id, policy);
    } catch (error) {
      this.#options.log.warn({ allocation: id, error: messageOf(error) }, "policy of before not known");
    }
  }

  #block(holding: Holding): ControlInput {
    return blockOf(this.#policyOf(holding), holding, this.#verdicts.get(holding.gpuUuid), this.#options.monotonic());
  }
}
