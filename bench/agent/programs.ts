/** What the programs in the containers do to the agent: rows of telemetry that change each second, in place as a shim writes. */
import { closeSync, openSync, writeSync } from "node:fs";
import { type Row, row, telemetry } from "@loretoken/telemetry";
import { TelemetryBytes } from "@loretoken/telemetry/testing";

const MiB = 2 ** 20;
const processesEach = 2;
const rowsAt = telemetry.offsets.get("rows") ?? Number.NaN;

export class Programs {
  readonly #files: { readonly file: number; readonly bytes: TelemetryBytes; readonly number: number }[] = [];
  #second = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param paths telemetry files, one per container, that programs start to write to. */
  start(paths: readonly string[]): void {
    for (const [number, path] of paths.entries()) {
      const bytes = new TelemetryBytes();
      for (let index = 0; index < processesEach; ++index) {
        bytes.process(index, { pid: index + 1, start_time: 1000 + number, charged: [20 * 1024 * MiB] });
        bytes.row(index, this.#row(number, index));
      }
      const file = openSync(path, "r+");
      writeSync(file, bytes.data, 0, bytes.data.length, 0);
      this.#files.push({ file, bytes, number });
    }
    this.#timer = setInterval(() => this.#work(), 1000);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const { file } of this.#files.splice(0)) closeSync(file);
  }

  #work(): void {
    this.#second += 1;
    for (const { file, bytes, number } of this.#files) {
      for (let index = 0; index < processesEach; ++index) bytes.row(index, this.#row(number, index));
      writeSync(file, bytes.data, rowsAt, processesEach * row.size, rowsAt);
    }
  }

  #row(number: number, index: number): Partial<Row> {
    const second = this.#second + number * 1000;
    const swing = 1 + 0.3 * Math.sin(second / 7);
    return {
      pid: index + 1,
      start_time: 1000 + number,
      live_bytes: 30_000 * MiB,
      raw_bytes: Math.round(15_000 * MiB * swing),
      packed_bytes: Math.round(4000 * MiB * swing),
      packed_logical: Math.round(9000 * MiB * swing),
      held_bytes: 20_000 * MiB,
      allocations: second * 11,
      launches: second * 9000,
      slow_launches: second * 3,
      packs: second * 20,
      unpacks: second * 19,
      wait_ns: second * 4_000_000,
      unpack_bytes: second * 300 * MiB,
      codec_in: [0, second * MiB, 0, second * 200 * MiB],
      codec_out: [0, second * 16, 0, second * 130 * MiB],
      pins: [1, 0, 2, 0, 0, 40],
      penalty_permille: 4,
    };
  }
}
