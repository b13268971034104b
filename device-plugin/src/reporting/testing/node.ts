/** A node's allocations with telemetry files on a disk, and a recorder that keeps what it is told. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import type { EventInput, Outcome } from "@loretoken/kube";
import type { TelemetryBytes } from "@loretoken/telemetry/testing";
import type { Holding, Owner } from "../../holding.ts";
import { holdingOf } from "../../testing/fixtures.ts";
import { recordingLog } from "../../testing/log.ts";
import { TelemetryWatch, type WatchOptions } from "../telemetry-watch.ts";

export const owner: Owner = { namespace: "team", pod: "train-0", podUid: "u-1", container: "main" };

export class Recorded {
  readonly inputs: EventInput[] = [];
  room = Number.POSITIVE_INFINITY;
  readonly #unsettled: ((outcome: Outcome) => void)[] = [];

  record(input: EventInput, settled?: (outcome: Outcome) => void): boolean {
    if (this.inputs.length >= this.room) return false;
    this.inputs.push(input);
    if (settled !== undefined) this.#unsettled.push(settled);
    return true;
  }

  /** @param count the first of those that wait */
  settle(count = this.#unsettled.length): void {
    for (const settled of this.#unsettled.splice(0, count)) settled("delivered");
  }

  get numbers(): (number | undefined)[] {
    return this.inputs.map(({ mark }) => mark?.number);
  }
}

export class Node {
  readonly folder: string;
  readonly log = recordingLog();
  holdings: Holding[] = [];
  now = 1_000_000;

  constructor(context: TestContext) {
    this.folder = mkdtempSync(join(tmpdir(), "reporting-"));
    context.after(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  hold(id: string, changes: Partial<Holding> = { owner }): Holding {
    const telemetry = join(this.folder, id, "telemetry");
    mkdirSync(dirname(telemetry), { recursive: true });
    const holding = holdingOf(id, ["0-1", "0-2"], { telemetry, ...changes });
    this.holdings = [...this.holdings.filter((other) => other.id !== id), holding];
    return holding;
  }

  /** In place as programs write to it; or anew, another file under the name, as the agent makes it. */
  place(holding: Holding, file: TelemetryBytes, anew = false): void {
    const path = anew ? `${holding.telemetry}.new` : holding.telemetry;
    writeFileSync(path, file.data);
    if (anew) renameSync(path, holding.telemetry);
  }

  watch(recorder: Recorded, options: Partial<WatchOptions> = {}): TelemetryWatch {
    return new TelemetryWatch({
      holdings: () => this.holdings,
      recorder,
      log: this.log,
      now: () => this.now,
      ...options,
    });
  }
}
