/** Sizes of the settings: as lib/api reads them, shares of a card to a tenth of a percent and at most all of it. */
import { parseSize as parse } from "@loretoken/api/size";

/** Bytes, or a share of something in permille. */
export type Size = { readonly bytes: bigint } | { readonly permille: number };

/** @returns undefined if it is no size, or more than all of a card. */
export function parseSize(text: string): Size | undefined {
  const size = parse(text);
  if (size === undefined || "bytes" in size) return size;
  const permille = Math.round(size.percent * 10);
  return permille <= 1000 ? { permille } : undefined;
}

/** @returns bytes of a size, a share being of `whole`. */
export function bytesOf(size: Size, whole: bigint): bigint {
  return "bytes" in size ? size.bytes : (whole * BigInt(size.permille)) / 1000n;
}

/** "24.0 GiB", for people. */
export function formatBytes(bytes: bigint): string {
  return `${(Number(bytes) / 2 ** 30).toFixed(1)} GiB`;
}
