/** Sizes on the command line. A value that passes here passes in the shim: the grammar is the same. */
import { parseSize as parse } from "@loretoken/api/size";
import { UsageError } from "./errors.ts";

export type Size = { readonly bytes: number } | { readonly percent: number };

/** @throws {UsageError} naming `option` and what is allowed. */
export function parseSize(option: string, text: string): Size {
  const size = parse(text);
  if (size === undefined) {
    throw new UsageError(`${option} ${text || '""'}: not a size`, {
      fix: "write a number with a unit: 24GiB (powers of 1024), 24GB (powers of 1000), 512MiB, or a share above 0 % such as 80%",
    });
  }
  if ("percent" in size) return size;
  if (size.bytes > Number.MAX_SAFE_INTEGER) throw new UsageError(`${option} ${text}: more than any card has`);
  return { bytes: Number(size.bytes) };
}

/** As parseSize, for places where a share makes no sense. Bytes. */
export function parseBytes(option: string, text: string): number {
  const size = parseSize(option, text);
  if ("bytes" in size) return size.bytes;
  throw new UsageError(`${option} ${text}: a share is not possible here`, { fix: "write a size such as 24GiB" });
}

/** "24.0 GiB" */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    ++unit;
  }
  return `${unit === 0 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`;
}
