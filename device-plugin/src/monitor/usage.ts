/**
 * How much of a GPU our containers use, from the process tables of their telemetry files. A container writes its own file and may
 * write anything, so what one counts for is bounded by what it was promised.
 */
import { readSync } from "node:fs";
import { MAX_PROCESSES, processEntry, TELEMETRY_MAGIC, telemetryHeader } from "@loretoken/telemetry";
import type { Holding } from "../holding.ts";

export interface ProcessUse {
  readonly processes: number;
  /** Physical bytes. */
  readonly charged: bigint;
}

const chargedAt = processEntry.offsets.get("charged") ?? 0;
export const nothing: ProcessUse = { processes: 0, charged: 0n };
const buffer = (): Uint8Array => new Uint8Array(telemetryHeader.size + MAX_PROCESSES * processEntry.size);

/** Reads open files over and over: one system call and 12 KiB each. */
export class UsageReader {
  readonly #bytes = buffer();

  /** Of the first device, the only one a container has; nothing for a file that is not set up. */
  read(file: number): ProcessUse {
    const length = readSync(file, this.#bytes, 0, this.#bytes.length, 0);
    return sum(new DataView(this.#bytes.buffer, 0, length));
  }
}

function sum(view: DataView): ProcessUse {
  if (view.byteLength < telemetryHeader.size) return nothing;
  const header = telemetryHeader.read(view, 0);
  const { process_offset: first, process_size: size, process_count: count } = header;
  if (header.magic !== TELEMETRY_MAGIC || size < chargedAt + 8) return nothing;
  let processes = 0;
  let charged = 0n;
  for (let at = first; at < first + size * count && at + chargedAt + 8 <= view.byteLength; at += size) {
    if (view.getUint32(at, true) === 0) continue;
    processes += 1;
    charged += view.getBigUint64(at + chargedAt, true);
  }
  return { processes, charged };
}

/** What a container can owe of its GPU's used memory. */
export function ownUse({ guaranteed }: Pick<Holding, "guaranteed">, use: ProcessUse, contextBytes: bigint): bigint {
  return least([use.charged, guaranteed]) + BigInt(use.processes) * contextBytes;
}

/**
 * Memory that others use, steadily: the least of the last looks, since a program's own count and the card's are not read in
 * the same moment.
 */
export class Strangers {
  readonly #looks = new Map<string, bigint[]>();

  /** @returns bytes */
  look(gpuUuid: string, used: bigint, own: bigint): bigint {
    const looks = [...(this.#looks.get(gpuUuid) ?? []), used > own ? used - own : 0n].slice(-3);
    this.#looks.set(gpuUuid, looks);
    return looks.length < 3 ? 0n : least(looks);
  }
}

function least(figures: readonly bigint[]): bigint {
  return figures.reduce((a, b) => {
    if (b < a) return b;
    return a;
  });
}
