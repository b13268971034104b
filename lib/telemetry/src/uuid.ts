/** A GPU's UUID as NVML and Kubernetes write it ("GPU-" and hexadecimal groups) and as the 16 bytes of abi.h. */

const shape = /^GPU-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function isUuid(text: string): boolean {
  return shape.test(text);
}

/** @throws {RangeError} if the text is no GPU UUID. */
export function uuidBytes(text: string): Uint8Array {
  if (!isUuid(text)) throw new RangeError(`"${text}" is no GPU UUID: GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx is`);
  return Uint8Array.from(Buffer.from(text.slice(4).replaceAll("-", ""), "hex"));
}

/** @param bytes 16 of them; all zero is an unused entry and gives the empty text */
export function uuidText(bytes: Uint8Array): string {
  if (bytes.every((byte) => byte === 0)) return "";
  const hex = Buffer.from(bytes).toString("hex");
  const groups = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)];
  return `GPU-${groups.join("-")}`;
}
