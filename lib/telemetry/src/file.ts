/**
 * Decodes a telemetry file. What is in it was written by other processes, perhaps by another version, perhaps cut short,
 * perhaps with ill intent: nothing in it is trusted before it is checked, and every error says what is wrong.
 */
import { readFileSync } from "node:fs";
import {
  ABI_MAJOR,
  event,
  type ProcessEntry,
  processEntry,
  type Row,
  row,
  TELEMETRY_MAGIC,
  type TelemetryEvent,
  type TelemetryHeader,
  telemetryHeader,
} from "./abi.ts";
import type { Struct } from "./struct.ts";

/**
 * `unset`: nobody has written to it yet, or is about to; normal before the first process of a container.
 * `damaged`: cut short or with figures that cannot be. `foreign`: something else. `version`: a layout this program does not
 * know.
 */
export type TelemetryFault = "unset" | "damaged" | "foreign" | "version";

/** The file is there but cannot be read as telemetry. */
export class TelemetryError extends Error {
  override name = "TelemetryError";
  readonly fault: TelemetryFault;
  constructor(fault: TelemetryFault, message: string) {
    super(message);
    this.fault = fault;
  }
}

export interface Telemetry {
  readonly header: TelemetryHeader;
  /** Those in use, in file order; entries that a process is just claiming are not in use. */
  readonly processes: ProcessEntry[];
  readonly rows: Row[];
  /** Oldest first; the ring keeps the latest `event_count`. Entries that do not lie in their slot are left out. */
  readonly events: TelemetryEvent[];
}

interface Table<T> {
  readonly what: string;
  readonly layout: Struct<T>;
  readonly offset: number;
  readonly size: number;
  readonly count: number;
  /** Entries whose number is below this are left out. */
  readonly from: number;
}

/** Tables larger than this are garbage, not a later version: no version needs a hundred thousand entries. */
const mostEntries = 65_536;
/** The pid of an entry while its new owner fills it in. */
const claiming = 0xffff_ffff;

/**
 * @param fromEvent events before this number are left out, which saves most of the cost when few are new
 * @throws {TelemetryError} if these bytes are no telemetry; the message names the cause.
 */
export function decodeTelemetry(data: Uint8Array, name = "telemetry", fromEvent = 1): Telemetry {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const header = decodeHeader(view, name);
  const processes = readTable(view, name, {
    what: "process",
    layout: processEntry,
    offset: header.process_offset,
    size: header.process_size,
    count: header.process_count,
    from: 1,
  });
  const rows = readTable(view, name, {
    what: "row",
    layout: row,
    offset: header.row_offset,
    size: header.row_size,
    count: header.row_count,
    from: 1,
  });
  const events = readTable(view, name, {
    what: "event",
    layout: event,
    offset: header.event_offset,
    size: header.event_size,
    count: header.event_count,
    from: fromEvent,
  });
  return {
    header,
    processes: processes.map(({ value }) => value).filter(({ pid }) => pid !== claiming),
    rows: rows.map(({ value }) => value).filter(({ pid }) => pid !== claiming),
    events: events
      .filter(({ index, value }) => value.number % header.event_count === index)
      .map(({ value }) => value)
      .sort((a, b) => a.number - b.number),
  };
}

/** Reads the file in one go. @throws what opening it throws, and {TelemetryError} as `decodeTelemetry`. */
export function readTelemetry(path: string): Telemetry {
  return decodeTelemetry(readFileSync(path), path);
}

/** @throws {TelemetryError} if this is no header of a version that is known here. */
export function decodeHeader(view: DataView, name: string): TelemetryHeader {
  if (view.byteLength === 0) {
    throw new TelemetryError("unset", `${name} is empty: no process with the shim has written to it`);
  }
  if (view.byteLength < telemetryHeader.size) {
    throw new TelemetryError(
      "damaged",
      `${name} is cut short: ${view.byteLength} bytes, the header alone has ${telemetryHeader.size}`,
    );
  }
  const header = telemetryHeader.read(view, 0);
  if (header.magic === 0n) {
    throw new TelemetryError(
      "unset",
      `${name} is not set up: its magic number is 0, which is written last; read it again later`,
    );
  }
  if (header.magic !== TELEMETRY_MAGIC) {
    throw new TelemetryError("foreign", `${name} is no telemetry file: it starts with 0x${header.magic.toString(16)}`);
  }
  if (header.version_major !== ABI_MAJOR) {
    throw new TelemetryError(
      "version",
      `${name} has layout version ${header.version_major}.${header.version_minor}, this program reads ${ABI_MAJOR}.x: ` +
        "use the release that wrote it",
    );
  }
  return header;
}

/**
 * The entries in use: each layout starts with a 32-bit figure (a pid, the low half of an event's number) that is 0 in free
 * ones. Only these are decoded, which is most of the cost.
 */
function readTable<T>(view: DataView, name: string, table: Table<T>): { index: number; value: T }[] {
  const { what, layout, offset, size, count, from } = table;
  if (count > mostEntries || size % 4 !== 0 || (count > 0 && size === 0)) {
    throw new TelemetryError(
      "damaged",
      `${name} is damaged: its ${what} table states ${count} entries of ${size} bytes`,
    );
  }
  if (offset < telemetryHeader.size && count > 0) {
    throw new TelemetryError(
      "damaged",
      `${name} is damaged: its ${what} table starts at byte ${offset}, inside the header`,
    );
  }
  const end = offset + size * count;
  if (end > view.byteLength) {
    throw new TelemetryError(
      "damaged",
      `${name} is cut short: its ${what} table ends at byte ${end}, the file has ${view.byteLength}`,
    );
  }
  const used: { index: number; value: T }[] = [];
  for (let index = 0; index < count; ++index) {
    const at = offset + index * size;
    if (view.getUint32(at, true) === 0 || (from > 1 && view.getBigUint64(at, true) < from)) continue;
    used.push({ index, value: layout.readStated(view, at, size) });
  }
  return used;
}
