/** Device IDs as the kubelet knows them: `<slot>-<unit>`, at most 63 characters. */

/** One unit of the resource: so many bytes of enlarged memory. */
export const unitBytes = 1n << 30n;

export interface Unit {
  /** Names the GPU on this node: its index, kept for its UUID also when GPUs before it go missing. */
  readonly slot: number;
  readonly unit: number;
}

export function unitId(slot: number, unit: number): string {
  return `${slot}-${unit}`;
}

/** @returns undefined if it is no ID of ours. */
export function parseUnitId(id: string): Unit | undefined {
  const [, slot, unit] = /^(0|[1-9]\d{0,3})-(0|[1-9]\d{0,5})$/.exec(id) ?? [];
  return slot === undefined || unit === undefined ? undefined : { slot: Number(slot), unit: Number(unit) };
}

/** By slot, then by unit: the order in which people count. What is no ID of ours comes last. */
export function inOrder(ids: Iterable<string>): string[] {
  const last = Number.MAX_SAFE_INTEGER;
  const keyed = [...ids].map((id) => ({ id, ...(parseUnitId(id) ?? { slot: last, unit: last }) }));
  keyed.sort((a, b) => a.slot - b.slot || a.unit - b.unit || (a.id < b.id ? -1 : Number(a.id > b.id)));
  return keyed.map(({ id }) => id);
}

/** Names a set of units, whatever their order. */
export function unitSet(ids: Iterable<string>): string {
  return inOrder(ids).join();
}
