/** Which units a container should get: all on one GPU, and on the fullest that has room, so that large requests fit later. */
import { inOrder, parseUnitId } from "./ids.ts";

export interface Wish {
  readonly available: readonly string[];
  /** Are among the answer. */
  readonly must: readonly string[];
  readonly size: number;
}

/**
 * @returns `size` units, fewer if there are not so many. If no GPU has them alone, they come from as few GPUs as can be;
 * Allocate then refuses them with the figures.
 */
export function preferUnits({ available, must, size }: Wish): string[] {
  const chosen = [...new Set(must)].slice(0, size);
  const byGpu = groups(available.filter((id) => !chosen.includes(id)));
  const bound = new Set(chosen.map((id) => parseUnitId(id)?.slot));
  const missing = size - chosen.length;
  const fits = [...byGpu].filter(([slot, ids]) => ids.length >= missing && (bound.size === 0 || bound.has(slot)));
  const best = fits.sort(([slotA, a], [slotB, b]) => a.length - b.length || slotA - slotB)[0];
  if (best !== undefined && bound.size <= 1) return inOrder([...chosen, ...best[1].slice(0, missing)]);
  const rest = [...byGpu].sort(
    ([slotA, a], [slotB, b]) =>
      Number(bound.has(slotB)) - Number(bound.has(slotA)) || b.length - a.length || slotA - slotB,
  );
  return inOrder([...chosen, ...rest.flatMap(([, ids]) => ids).slice(0, missing)]);
}

/** IDs by slot, each in order. What is no ID of ours is left out. */
export function groups(ids: readonly string[]): Map<number, string[]> {
  const bySlot = new Map<number, string[]>();
  for (const id of inOrder(ids)) {
    const slot = parseUnitId(id)?.slot;
    if (slot === undefined) continue;
    const group = bySlot.get(slot);
    if (group === undefined) bySlot.set(slot, [id]);
    else group.push(id);
  }
  return bySlot;
}
