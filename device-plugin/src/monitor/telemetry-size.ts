/** Telemetry files keep their size: a program may write into its own, but not fill the host's disk with it. */
import { ftruncateSync, writeSync } from "node:fs";

/** @param size bytes that it has. @param bytes that it shall have. @throws what the disk does. */
export function keepSize(file: number, size: number, bytes: number): void {
  if (size > bytes) ftruncateSync(file, bytes);
  else if (size < bytes) writeSync(file, new Uint8Array(bytes - size), 0, bytes - size, size);
}
