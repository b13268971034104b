/** A file, open to read and write for as long as `work` takes. */
import { closeSync, openSync } from "node:fs";

/** @throws what opening it throws, and what `work` does. */
export function withFile<T>(path: string, work: (file: number) => T): T {
  const file = openSync(path, "r+");
  try {
    return work(file);
  } finally {
    closeSync(file);
  }
}
