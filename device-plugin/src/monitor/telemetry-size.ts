/** Telemetry files keep their size: a program may write into its own, but not fill the host's disk with it. */
import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from "node:fs";

/**
 * @returns the bytes it had if it was put right, undefined if all is well or there is no such file.
 * @throws what the disk does.
 */
export function keepSize(path: string, bytes: number): number | undefined {
  let file: number;
  try {
    file = openSync(path, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const { size } = fstatSync(file);
    if (size > bytes) ftruncateSync(file, bytes);
    else if (size < bytes) writeSync(file, new Uint8Array(bytes - size), 0, bytes - size, size);
    return size === bytes ? undefined : size;
  } finally {
    closeSync(file);
  }
}
