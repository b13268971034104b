/** An allocation as it is kept on disk. Later versions may add fields; what is read is checked. */
import { crc32 } from "node:zlib";
import { z } from "zod";
import type { Holding, Owner } from "../holding.ts";

/** A holding, and what the container was given besides. */
export interface Allocation {
  readonly holding: Holding;
  /** Name of the shim's folder that the container has mounted. */
  readonly shim: string;
}

const bytes = z.string().regex(/^\d{1,20}$/);

const recordSchema = z.object({
  version: z.literal(1),
  id: z.string().min(1),
  gpuUuid: z.string().min(1),
  units: z.array(z.string().min(1)).min(1),
  guaranteed: bytes,
  virtualSize: bytes,
  allocatedAt: z.number(),
  owner: z.object({ namespace: z.string(), pod: z.string(), podUid: z.string(), container: z.string() }).optional(),
  shim: z.string(),
  /** CRC-32 of the others as JSON without spaces; older versions wrote none. */
  sum: z.number().optional(),
});

export function encodeRecord({ holding, shim }: Allocation): string {
  const { id, gpuUuid, units, guaranteed, virtualSize, allocatedAt, owner } = holding;
  const sizes = { guaranteed: String(guaranteed), virtualSize: String(virtualSize) };
  const fields = { version: 1, id, gpuUuid, units, ...sizes, allocatedAt, owner, shim };
  return `${JSON.stringify({ ...fields, sum: sumOf(fields) }, undefined, 2)}\n`;
}

function sumOf(fields: object): number {
  return crc32(JSON.stringify(fields));
}

/** Whether all of it is as it was written: what a power failure left of a write over spaces is not. */
export function isWhole(text: string): boolean {
  try {
    const { sum, ...fields } = JSON.parse(text) as { sum?: unknown };
    return sum === sumOf(fields);
  } catch {
    return false;
  }
}

/** @param files where the allocation's files are. @throws {Error} saying what is wrong with the text. */
export function decodeRecord(text: string, files: Pick<Holding, "telemetry" | "control">): Allocation {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error(text === "" ? "it is empty" : "it is no JSON");
  }
  const result = recordSchema.safeParse(parsed);
  if (!result.success) throw new Error(z.prettifyError(result.error).replaceAll("\n", " "));
  const { shim, owner, guaranteed, virtualSize, version: _, sum, ...rest } = result.data;
  if (sum !== undefined && !isWhole(text)) throw new Error("its checksum is of other content");
  const sizes = { guaranteed: BigInt(guaranteed), virtualSize: BigInt(virtualSize) };
  const known: { owner?: Owner } = owner === undefined ? {} : { owner };
  return { holding: { ...rest, ...sizes, ...known, ...files }, shim };
}
