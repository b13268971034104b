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

/** By slot, then by unit: the order in which people count. For IDs of ours. */
export function byNumber(a: string, b: string): number {
  const [left, right] = [parseUnitId(a), parseUnitId(b)];
  if (left === undefined || right === undefined) return a < b ? -1 : Number(a > b);
  return left.slot - right.slot || left.unit - right.unit;
}
