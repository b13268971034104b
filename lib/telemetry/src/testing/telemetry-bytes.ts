/** Telemetry files as a shim of this version writes them, for tests. */
import * as abi from "../abi.ts";
import type { Struct } from "../struct.ts";

export class TelemetryBytes {
  readonly data = new Uint8Array(abi.telemetry.size);
  readonly view = new DataView(this.data.buffer);

  constructor() {
    this.header({
      magic: abi.TELEMETRY_MAGIC,
      version_major: abi.ABI_MAJOR,
      size: this.data.length,
      process_offset: at("processes"),
      process_size: abi.processEntry.size,
      process_count: abi.MAX_PROCESSES,
      row_offset: at("rows"),
      row_size: abi.row.size,
      row_count: abi.MAX_ROWS,
      event_offset: at("events"),
      event_size: abi.event.size,
      event_count: abi.MAX_EVENTS,
    });
  }

  header(fields: Partial<abi.TelemetryHeader>): this {
    return this.#set(abi.telemetryHeader, 0, fields);
  }

  process(index: number, fields: Partial<abi.ProcessEntry>): this {
    return this.#set(abi.processEntry, at("processes") + index * abi.processEntry.size, fields);
  }

  row(index: number, fields: Partial<abi.Row>): this {
    return this.#set(abi.row, at("rows") + index * abi.row.size, fields);
  }

  /** Wipes a row, as when its next owner claims it. */
  wipe(index: number): this {
    this.data.fill(0, at("rows") + index * abi.row.size, at("rows") + (index + 1) * abi.row.size);
    return this;
  }

  /** Appends to the ring; `realtime_ns` is `second` s after the epoch. */
  event(second: number, fields: Partial<abi.TelemetryEvent> = {}): this {
    const number = this.begin();
    return this.slot(number, { number, realtime_ns: second * 1e9, ...fields });
  }

  /** What a writer does first: takes a number and empties its slot. */
  begin(): number {
    const number = abi.telemetryHeader.read(this.view, 0).event_next + 1;
    this.header({ event_next: number });
    this.slot(number, { number: 0 });
    return number;
  }

  slot(number: number, fields: Partial<abi.TelemetryEvent>): this {
    return this.#set(abi.event, at("events") + (number % abi.MAX_EVENTS) * abi.event.size, fields);
  }

  #set<T extends object>(layout: Struct<T>, offset: number, fields: Partial<T>): this {
    layout.write(this.view, offset, { ...layout.read(this.view, offset), ...fields });
    return this;
  }
}

function at(table: "processes" | "rows" | "events"): number {
  return abi.telemetry.offsets.get(table) ?? Number.NaN;
}
