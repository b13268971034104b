/**
 * Sizes as people write them. The same rules as shim/src/base/size.h, so that a value that passes here passes there:
 * "24GiB", "24GB", "1.5TiB", "4096" (bytes), "50%"; units without regard to case.
 */
import { UsageError } from "./errors.ts";

export type Size = { readonly bytes: number } | { readonly percent: number };

const powers = ["k", "m", "g", "t"];

function bytesPerUnit(unit: string): number | undefined {
  const lower = unit.toLowerCase();
  if (lower === "" || lower === "b") return 1;
  const match = /^([kmgt])(ib|b)$/.exec(lower);
  if (!match) return undefined;
  return (match[2] === "ib" ? 1024 : 1000) ** (powers.indexOf(match[1] ?? "") + 1);
}

/** @throws {UsageError} naming `option` and what is allowed. */
export function parseSize(option: string, text: string): Size {
  const match = /^(\d+(?:\.\d*)?) *([A-Za-z%]*)$/.exec(text);
  const number = Number(match?.[1]);
  const unit = match?.[2] ?? "";
  if (match && unit === "%") {
    if (number > 0) return { percent: number };
    throw new UsageError(`${option} ${text}: a share must be above 0 %`);
  }
  const scale = match ? bytesPerUnit(unit) : undefined;
  if (scale === undefined) {
    throw new UsageError(`${option} ${text || '""'}: not a size`, {
      fix: `write a number with a unit: 24GiB (powers of 1024), 24GB (powers of 1000), 512MiB, or a share such as 80%`,
    });
  }
  const bytes = Math.round(number * scale);
  if (bytes > Number.MAX_SAFE_INTEGER) throw new UsageError(`${option} ${text}: more than any card has`);
  return { bytes };
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
