/** Specs of policies at random, from values of which many are wrong; the same seed gives the same ones. */

export type Random = () => number;

/** mulberry32: numbers from 0 up to 1. */
export function randomFrom(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T;
}

const amounts = [
  "0",
  "1",
  "63Mi",
  "64Mi",
  "67108863",
  "67108864",
  "0.0625Gi",
  "1.5555Gi",
  "064Mi",
  "64.000Ti",
  "70368744177665",
  "64Ti",
  "65T",
  "71T",
  "1e9",
  "1 Gi",
  "16gi",
  "5%",
  "99.9%",
  "100%",
  "0%",
  ".5Gi",
  "5.Gi",
  "",
];
const keys = [
  "app",
  "a.b/c",
  "A/b",
  "-a",
  "a-",
  "a/",
  "a/b/c",
  "",
  "x".repeat(63),
  "x".repeat(64),
  `${"d".repeat(253)}/a`,
  "constructor",
];
const values = ["", "a", "A_b.c-d", "-a", "a ", "ü", "x".repeat(63), "x".repeat(64)];

/** Each field is there with the chance given, so that a spec has few mistakes at most, and often none. */
export function randomSpec(random: Random): object {
  const maybe = <T>(name: string, value: () => T, chance = 0.15): object =>
    random() < chance ? { [name]: value() } : {};
  const of =
    (...from: readonly unknown[]) =>
    (): unknown =>
      pick(random, from);
  const list = (from: readonly unknown[]) => (): unknown[] =>
    Array.from({ length: Math.floor(random() * 3) }, () => pick(random, from));
  const selector = (): object => ({
    ...maybe("matchLabels", () => ({ [pick(random, keys)]: pick(random, values) }), 0.4),
    ...maybe(
      "matchExpressions",
      () => [
        {
          key: pick(random, keys),
          ...maybe("operator", of("In", "NotIn", "Exists", "DoesNotExist", "Exist"), 0.95),
          ...maybe("values", list(values), 0.5),
        },
      ],
      0.4,
    ),
  });
  return {
    ...maybe("podSelector", selector),
    ...maybe("nodeSelector", selector),
    ...maybe("priority", of(0, -1, 1_000_000, 1_000_001, 1.5, "1")),
    ...maybe("suspend", of(true, false, 1)),
    ...maybe("expansion", of(1, 1.5, 8, 0.999, 8.001, "1.5")),
    ...maybe("physicalReserve", of(...amounts)),
    ...maybe("mode", of("full", "hold", "off", "on")),
    ...maybe("tiers", () => ({
      ...maybe(
        "host",
        () => ({
          ...maybe("enabled", of(true, false), 0.5),
          ...maybe("limitPerContainer", of(...amounts), 0.7),
        }),
        0.9,
      ),
    })),
    ...maybe("codecs", () => ({ ...maybe("allow", list(["constant", "zero_run", "raw", "int8"]), 0.8) })),
    ...maybe(
      "guardrails",
      () => ({
        ...maybe("integrity", () => ({
          ...maybe("threshold", of(0, 1, 1_000_001), 0.5),
          ...maybe("action", of("log", "stop"), 0.5),
        })),
        ...maybe("penalty", () => ({
          ...maybe("maxPercent", of(0, 1, 100, 2.5), 0.5),
          ...maybe("windowSeconds", of(1, 3601), 0.5),
        })),
        ...maybe(
          "thermal",
          () => ({ ...maybe("maxCelsius", of(29, 30, 85), 0.5), ...maybe("marginCelsius", of(1, 61), 0.5) }),
          0.4,
        ),
        ...maybe(
          "power",
          () => ({ ...maybe("maxWatts", of(0, 700), 0.5), ...maybe("maxPercent", of(9, 95), 0.5) }),
          0.4,
        ),
      }),
      0.5,
    ),
  };
}
