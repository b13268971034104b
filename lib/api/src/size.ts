/**
 * Sizes as people write them: "24GiB" (powers of 1024), "24GB" (powers of 1000), "1.5TiB", "4096" (bytes), "50%"; units without
 * regard to case. The same rules as shim/src/base/size.h: both are held to shim/tests/size_cases.txt.
 */

/** Bytes, or a share of something that is known only later. */
export type Size = { readonly bytes: bigint } | { readonly percent: number };

const prefixes = "kmgt";
const mostBytes = 2 ** 63;

/** @returns undefined if it is no size, a share of nothing, or 2^63 bytes or more. */
export function parseSize(text: string): Size | undefined {
  const [, digits, unit = ""] = /^(\d+(?:\.\d*)?) *([A-Za-z]*|%)$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const number = Number(digits);
  if (unit === "%") return number > 0 ? { percent: number } : undefined;
  const bytes = number * (bytesPerUnit(unit.toLowerCase()) ?? Number.NaN);
  return bytes < mostBytes ? { bytes: BigInt(Math.floor(bytes + 0.5)) } : undefined;
}

function bytesPerUnit(unit: string): number | undefined {
  if (unit === "" || unit === "b") return 1;
  const [, prefix, binary] = /^([kmgt])(i?)b$/.exec(unit) ?? [];
  if (prefix === undefined) return undefined;
  return (binary === "i" ? 1024 : 1000) ** (prefixes.indexOf(prefix) + 1);
}
