/** Memory as Kubernetes quantities. */

const mebi = 1n << 20n;
const gibi = 1n << 30n;

/**
 * Rounded to the nearest MiB, so that a status does not change with every byte: "40Gi" if whole, else "1536Mi".
 * @param bytes a negative figure counts as 0
 */
export function memoryQuantity(bytes: bigint | number): string {
  const exact = typeof bytes === "bigint" ? bytes : BigInt(Math.max(0, Math.round(bytes)));
  const rounded = ((exact < 0n ? 0n : exact) + mebi / 2n) / mebi;
  if (rounded === 0n) return "0";
  return rounded % 1024n === 0n ? `${rounded / 1024n}Gi` : `${rounded}Mi`;
}

/** For a column of a table: three digits at least, "1.5Gi". */
export function shortMemory(bytes: bigint | number): string {
  const value = Number(bytes);
  if (value < Number(gibi)) return `${Math.round(value / Number(mebi))}Mi`;
  const amount = value / Number(gibi);
  return `${amount < 100 && !Number.isInteger(amount) ? amount.toFixed(1).replace(/\.0$/, "") : Math.round(amount)}Gi`;
}

/** A ratio with two digits, as text: fractions are no numbers in Kubernetes' API. */
export function ratioText(whole: number, part: number): string {
  return part > 0 ? (whole / part).toFixed(2) : "";
}
