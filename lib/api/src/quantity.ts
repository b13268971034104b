/** Memory as Kubernetes quantities. */

const mebi = 1n << 20n;
const gibi = 1n << 30n;

const powers = "kMGTPE";
const smallPowers = "mun";
/** More than any memory, and short enough to compute with at once. */
const longest = 40;

/**
 * Bytes of a Kubernetes quantity ("1.5Gi", "40G", "1e9"), a fraction of a byte rounded up.
 * @returns undefined if it is none, or negative
 */
export function parseQuantity(text: string): bigint | undefined {
  if (text.length > longest) return undefined;
  const form = /^\+?(\d*)(?:\.(\d*))?(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?\d{1,2}))?$/.exec(text);
  if (form === null) return undefined;
  const [, whole = "", fraction = "", binary, decimal, exponent = "0"] = form;
  const digits = whole + fraction;
  if (digits === "") return undefined;
  const ten = -fraction.length + Number(exponent) + decimalPower(decimal);
  const two = binary === undefined ? 0 : 10 * (powers.indexOf(binary.charAt(0).replace("K", "k")) + 1);
  const scaled = BigInt(digits) << BigInt(two);
  if (ten >= 0) return scaled * 10n ** BigInt(ten);
  const part = 10n ** BigInt(-ten);
  return (scaled + part - 1n) / part;
}

function decimalPower(suffix: string | undefined): number {
  if (suffix === undefined) return 0;
  const large = powers.indexOf(suffix);
  return large >= 0 ? 3 * (large + 1) : -3 * (smallPowers.indexOf(suffix) + 1);
}
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

/** A ratio with two digits, as text: a status that does not change with every byte. */
export function ratioText(whole: number, part: number): string {
  return part > 0 ? (whole / part).toFixed(2) : "";
}
