/**
 * Reads a telemetry file. What is in it was written by other processes, perhaps by another version, perhaps cut short:
 * nothing in it is trusted before it is checked, and every error says what is wrong and what to do.
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

/** The file is there but cannot be read as telemetry. */
export class TelemetryError extends Error {
  override name = "TelemetryError";
}

export interface Telemetry {
  readonly header: TelemetryHeader;
  /** Those in use (pid not 0), in file order. */
  readonly processes: ProcessEntry[];
  readonly rows: Row[];
  /** Oldest first; the ring keeps the latest `event_count`. */
  readonly events: TelemetryEvent[];
}

interface Table<T> {
  readonly what: string;
  readonly layout: Struct<T>;
  readonly offset: number;
  readonly size: number;
  readonly count: number;
}

/** Tables larger than this are garbage, not a later version: no version needs a hundred thousand entries. */
const mostEntries = 65_536;

/** @throws {TelemetryError} if these bytes are no telemetry; the message names the cause. */
export function decodeTelemetry(data: Uint8Array, name = "telemetry"): Telemetry {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const header = readHeader(view, name);
  const processes = readTable(view, name, {
    what: "process",
    layout: processEntry,
    offset: header.process_offset,
    size: header.process_size,
    count: header.process_count,
  });
  const rows = readTable(view, name, {
    what: "row",
    layout: row,
    offset: header.row_offset,
    size: header.row_size,
    count: header.row_count,
  });
  const events = readTable(view, name, {
    what: "event",
    layout: event,
    offset: header.event_offset,
    size: header.event_size,
    count: header.event_count,
  });
  return {
    header,
    processes: processes.filter((entry) => entry.pid !== 0),
    rows: rows.filter((entry) => entry.pid !== 0),
    events: events.filter((entry) => entry.number !== 0).sort((a, b) => a.number - b.number),
  };
}

/** Reads the file in one go. @throws what opening it throws, and {TelemetryError} as `decodeTelemetry`. */
export function readTelemetry(path: string): Telemetry {
  return decodeTelemetry(readFileSync(path), path);
}

function readHeader(view: DataView, name: string): TelemetryHeader {
  if (view.byteLength === 0) throw new TelemetryError(`${name} is empty: no process with the shim has written to it`);
  if (view.byteLength < telemetryHeader.size) {
    throw new TelemetryError(
      `${name} is cut short: ${view.byteLength} bytes, the header alone has ${telemetryHeader.size}`,
    );
  }
  const header = telemetryHeader.read(view, 0);
  if (header.magic === 0n) {
    throw new TelemetryError(
      `${name} is not set up: its magic number is 0, which is written last; read it again later`,
    );
  }
  if (header.magic !== TELEMETRY_MAGIC) {
    throw new TelemetryError(`${name} is no telemetry file: it starts with 0x${header.magic.toString(16)}`);
  }
  if (header.version_major !== ABI_MAJOR) {
    throw new TelemetryError(
      `${name} has layout version ${header.version_major}.${header.version_minor}, this program reads ${ABI_MAJOR}.x: ` +
        "use the release that wrote it",
    );
  }
  return header;
}

function readTable<T>(view: DataView, name: string, table: Table<T>): T[] {
  const { what, layout, offset, size, count } = table;
  if (count > mostEntries || size % 4 !== 0 || (count > 0 && size === 0)) {
    throw new TelemetryError(`${name} is damaged: its ${what} table states ${count} entries of ${size} bytes`);
  }
  if (offset < telemetryHeader.size && count > 0) {
    throw new TelemetryError(`${name} is damaged: its ${what} table starts at byte ${offset}, inside the header`);
  }
  const end = offset + size * count;
  if (end > view.byteLength) {
    throw new TelemetryError(
      `${name} is cut short: its ${what} table ends at byte ${end}, the file has ${view.byteLength}`,
    );
  }
  return Array.from({ length: count }, (_, index) => layout.readStated(view, offset + index * size, size));
}
