/** Sizes as people write them: "24GiB" (powers of 1024), "24GB" (powers of 1000), "4096" (bytes), "4%". */

/** Bytes, or a share of something in permille. */
export type Size = { readonly bytes: bigint } | { readonly permille: number };

const powers = ["", "k", "m", "g", "t"];
const shape = /^(\d+(?:\.\d+)?) *(?:([kmgt]?)(i?)b?|(%))$/i;

/** @returns undefined if it is no size, or larger than any card. */
export function parseSize(text: string): Size | undefined {
  const [, number, power = "", binary, percent] = shape.exec(text) ?? [];
  if (number === undefined || (binary !== "" && power === "" && percent === undefined)) return undefined;
  if (percent !== undefined) {
    const permille = Math.round(Number(number) * 10);
    return permille <= 1000 ? { permille } : undefined;
  }
  const bytes = Number(number) * (binary === "" ? 1000 : 1024) ** powers.indexOf(power.toLowerCase());
  return bytes <= Number.MAX_SAFE_INTEGER ? { bytes: BigInt(Math.round(bytes)) } : undefined;
}

/** @returns bytes of a size, a share being of `whole`. */
export function bytesOf(size: Size, whole: bigint): bigint {
  return "bytes" in size ? size.bytes : (whole * BigInt(size.permille)) / 1000n;
}

/** "24.0 GiB", for people. */
export function formatBytes(bytes: bigint): string {
  return `${(Number(bytes) / 2 ** 30).toFixed(1)} GiB`;
}
