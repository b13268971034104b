/** Telemetry files keep their size: a program may write into its own, but not fill the host's disk with it. */
import { fstatSync, ftruncateSync, writeSync } from "node:fs";

/** @returns the bytes it had if it was put right, undefined if all is well. @throws what the disk does. */
export function keepSize(file: number, bytes: number): number | undefined {
  const { size } = fstatSync(file);
  if (size > bytes) ftruncateSync(file, bytes);
  else if (size < bytes) writeSync(file, new Uint8Array(bytes - size), 0, bytes - size, size);
  return size === bytes ? undefined : size;
}
