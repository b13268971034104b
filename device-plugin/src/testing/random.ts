/** Repeatable chance for tests. A failing seed is run again by LORETOKEN_SEED. */
export interface Random {
  readonly seed: number;
  /** A whole number from `low` to `high`, both possible. */
  between(low: number, high: number): number;
  pick<T>(from: readonly T[]): T;
}

/** mulberry32 */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  return {
    seed,
    between,
    pick<T>(from: readonly T[]): T {
      const index = between(0, from.length - 1);
      if (from.length === 0) throw new RangeError("nothing to pick from");
      return from[index] as T;
    },
  };
}

/** `count` seeds from the clock, or the one that LORETOKEN_SEED names. */
export function seeds(count: number): number[] {
  const named = process.env.LORETOKEN_SEED;
  if (named !== undefined) return [Number(named)];
  const first = Date.now() % 2 ** 31;
  return Array.from({ length: count }, (_, index) => first + index);
}
