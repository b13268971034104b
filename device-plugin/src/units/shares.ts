/**
 * How a card is shared out. It seems `expansion` times as large as it is; each unit of what it seems to be comes with its part of
 * what it is. So a container that asks for u of N units is guaranteed u/N of the card (less the reserve), and all guarantees
 * together are never more than the card.
 */
import { bytesOf, type Size } from "../config/size.ts";
import { unitBytes } from "./ids.ts";

export interface Capacity {
  /** Physical bytes that may be guaranteed to containers: the card less the reserve. */
  readonly usable: bigint;
  /** Units that the card offers: whole units of physical × expansion − reserve. */
  readonly units: number;
}

/** Guarantees are whole pages of the driver's memory. */
const pageBytes = 2n << 20n;

/** `expansion` is taken to three decimals. A reserve as large as the card leaves nothing. */
export function capacityOf(physical: bigint, expansion: number, reserve: Size): Capacity {
  const kept = bytesOf(reserve, physical);
  const usable = physical > kept ? physical - kept : 0n;
  const enlarged = (physical * BigInt(Math.round(expansion * 1000))) / 1000n;
  const units = usable > 0n && enlarged > kept ? Number((enlarged - kept) / unitBytes) : 0;
  return { usable, units };
}

/** Physical bytes guaranteed to so many units, whole pages, rounded down. */
export function guaranteeOf({ usable, units }: Capacity, count: number): bigint {
  if (units === 0) return 0n;
  const share = (usable * BigInt(count)) / BigInt(units);
  return share - (share % pageBytes);
}

/** How many more units so many physical bytes can back, at the present ratio. */
export function unitsBackedBy({ usable, units }: Capacity, bytes: bigint): number {
  return usable === 0n || bytes <= 0n ? 0 : Number((bytes * BigInt(units)) / usable);
}

/** What is promised: to whom no matter, of which units and how much. */
export interface Promised {
  readonly units: readonly string[];
  readonly guaranteed: bigint;
}

const fraction = 20n;

/**
 * Bytes that all promises together can claim at one time. Two that share units are an init container's and that of a container of
 * the same pod, which never run together: a shared unit counts once, by its larger promise.
 */
export function committed(promises: readonly Promised[]): bigint {
  const perUnit = new Map<string, bigint>();
  let sum = 0n;
  let shared = false;
  for (const { units, guaranteed } of promises) {
    sum += guaranteed;
    const each = units.length === 0 ? 0n : (guaranteed << fraction) / BigInt(units.length);
    for (const unit of units) {
      const other = perUnit.get(unit);
      shared ||= other !== undefined;
      if (other === undefined || other < each) perUnit.set(unit, each);
    }
  }
  if (!shared) return sum;
  return [...perUnit.values()].reduce((total, each) => total + each, 0n) >> fraction;
}
