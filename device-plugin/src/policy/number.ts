/** The number by which a control block, and the telemetry of who obeys it, names a policy and its generation. */
import { crc32 } from "node:zlib";

const generationBits = 21;

/**
 * The same from any agent at any time, so that a restart changes nothing: the lower 21 bits are those of the generation, the others
 * the CRC-32 of the policy's UID. At most 2^53 - 1. It tells one from another; it is not in any order.
 */
export function policyNumber({
  uid,
  generation = 0,
}: {
  readonly uid?: unknown;
  readonly generation?: number | undefined;
}): number {
  return crc32(String(uid ?? "")) * 2 ** generationBits + (generation % 2 ** generationBits);
}
