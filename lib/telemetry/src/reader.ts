/**
 * Reads telemetry files over and over: one buffer for all of them, and a second look at the ring's counter, so that events
 * that were overwritten while they were copied can be told from whole ones.
 *
 * Reading a file with its rows costs several times a peek. So who watches many peeks at each, and reads when there are events,
 * or when figures are due. Rows say nothing about whether they changed: counters move without `updated`.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { MAX_PROCESSES, processEntry, telemetryHeader } from "./abi.ts";
import { decodeHeader, decodeTelemetry, type Telemetry, TelemetryError } from "./file.ts";
import { type ProcessUse, useOf } from "./process-use.ts";

/** A file as such. */
export interface FileFacts {
  /** Names the file behind the path: a file made anew under the same name has another. */
  readonly inode: string;
  /** Bytes on disk; more than the header's `size` says that someone let it grow. */
  readonly fileSize: number;
}

export interface Peek extends FileFacts {
  /** Number of the newest event; 0: none. */
  readonly eventNext: number;
}

/** A peek that also says what is held. */
export interface Glance extends Peek {
  readonly use: ProcessUse;
  /** Why the file is no telemetry now; `eventNext` is 0 then. */
  readonly fault?: TelemetryError;
}

export interface Snapshot extends Telemetry, FileFacts {
  /** `event_next` after the events were copied: an event older than this less the ring's length may be a mixture. */
  readonly eventNextAfter: number;
}

/** No version's file is larger; a hostile program may let its own grow as it likes. */
const mostBytes = 4 << 20;
/** Header and process table as this version has them; a longer table of a later one is read in part. */
const glanceBytes = telemetryHeader.size + MAX_PROCESSES * processEntry.size;
const eventNextAt = telemetryHeader.offsets.get("event_next") ?? 0;

export class TelemetryReader {
  #buffer = new Uint8Array(1 << 18);
  readonly #next = new Uint8Array(8);

  /**
   * Costs five system calls, a copy of the file, and decoding what is in use.
   * @param fromEvent as for `decodeTelemetry`; a ring's position says which events are still of interest
   * @returns undefined if there is no file
   * @throws {TelemetryError} as `decodeTelemetry`, and what opening it throws otherwise
   */
  read(path: string, fromEvent = 1): Snapshot | undefined {
    return this.#open(path, (file, facts) => {
      const telemetry = decodeTelemetry(this.#fill(file, Math.min(facts.fileSize, mostBytes)), path, fromEvent);
      const again = readSync(file, this.#next, 0, 8, eventNextAt) === 8;
      const eventNextAfter = again
        ? Number(new DataView(this.#next.buffer).getBigUint64(0, true))
        : telemetry.header.event_next;
      return { ...telemetry, ...facts, eventNextAfter };
    });
  }

  /** The header alone. Returns and throws as `read`. */
  peek(path: string): Peek | undefined {
    return this.#open(path, (file, facts) => this.#peekAt(file, facts, path));
  }

  /**
   * Header and process table of a file that is open: two system calls. Throws nothing for what is in the file: it says so.
   * @throws what the system does, and {TelemetryError} for what is no file
   */
  glance(file: number, path: string): Glance {
    const facts = factsOf(file, path);
    const data = this.#fill(file, Math.min(facts.fileSize, glanceBytes));
    const use = useOf(new DataView(data.buffer, 0, data.length));
    try {
      const { event_next: eventNext } = decodeHeader(new DataView(data.buffer, 0, data.length), path);
      return { ...facts, use, eventNext };
    } catch (error) {
      if (!(error instanceof TelemetryError)) throw error;
      return { ...facts, use, eventNext: 0, fault: error };
    }
  }

  #peekAt(file: number, facts: FileFacts, path: string): Peek {
    const data = this.#fill(file, Math.min(facts.fileSize, telemetryHeader.size));
    const header = decodeHeader(new DataView(data.buffer, 0, data.length), path);
    return { ...facts, eventNext: header.event_next };
  }

  #open<T>(path: string, look: (file: number, facts: FileFacts) => T): T | undefined {
    const file = openExisting(path);
    if (file === undefined) return undefined;
    try {
      return look(file, factsOf(file, path));
    } finally {
      closeSync(file);
    }
  }

  /** The first `size` bytes, fewer if the file was cut meanwhile; valid until the next call. */
  #fill(file: number, size: number): Uint8Array {
    if (this.#buffer.length < size) this.#buffer = new Uint8Array(size);
    let have = 0;
    while (have < size) {
      const got = readSync(file, this.#buffer, have, size - have, have);
      if (got === 0) break;
      have += got;
    }
    return this.#buffer.subarray(0, have);
  }
}

function factsOf(file: number, path: string): FileFacts {
  const status = fstatSync(file, { bigint: true });
  if (!status.isFile()) throw new TelemetryError("foreign", `${path} is not a regular file`);
  return { inode: `${status.dev}:${status.ino}`, fileSize: Number(status.size) };
}

function openExisting(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
