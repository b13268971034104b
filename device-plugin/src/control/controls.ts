/** The control files of all containers, kept open and written again when something changes, and as a sign of life. */
import { existsSync, rmSync } from "node:fs";
import { ControlFile, type ControlInput } from "@loretoken/telemetry/control";
import type { Holding } from "../holding.ts";
import { type Log, messageOf } from "../log.ts";
import { blockOf, type Verdict } from "./block.ts";

/** What the agent needs of a control file. */
export interface ControlWriter {
  write(block: ControlInput): void;
  /** A sign of life alone; the rest stays. */
  beat(heartbeat: bigint): void;
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
  readonly policy: ControlInput;
  readonly writers: ControlWriters;
  readonly log: Log;
  /** CLOCK_MONOTONIC in nanoseconds. */
  readonly monotonic: () => bigint;
}

/** A file that is open, and what was last written to it whole. */
interface Open {
  readonly writer: ControlWriter;
  policy?: ControlInput;
  verdict?: Verdict | undefined;
  guaranteed?: bigint;
  virtualSize?: bigint;
}

export class Controls {
  readonly #options: ControlsOptions;
  readonly #open = new Map<string, Open>();
  readonly #verdicts = new Map<string, Verdict>();
  #policy: ControlInput;

  constructor(options: ControlsOptions) {
    this.#options = options;
    this.#policy = options.policy;
  }

  /** What holds for all containers from the next `writeAll` on. */
  set policy(policy: ControlInput) {
    this.#policy = policy;
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
      this.#open.set(holding.id, { writer: writers.open(holding.control) });
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
    this.forget(holding.id);
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
  }

  close(): void {
    for (const id of [...this.#open.keys()]) this.forget(id);
  }

  #write(holding: Holding): void {
    const open = this.#open.get(holding.id);
    if (open === undefined) return;
    const { guaranteed, virtualSize, gpuUuid } = holding;
    const [policy, verdict] = [this.#policy, this.#verdicts.get(gpuUuid)];
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

  #block(holding: Holding): ControlInput {
    return blockOf(this.#policy, holding, this.#verdicts.get(holding.gpuUuid), this.#options.monotonic());
  }
}
