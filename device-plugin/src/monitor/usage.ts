/**
 * How much of a GPU our containers use, and how much strangers. A container writes its own telemetry file and may write
 * anything, so what one counts for is bounded by what it was promised.
 */
import type { ProcessUse } from "@loretoken/telemetry";
import type { Holding } from "../holding.ts";

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
