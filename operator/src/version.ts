import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Of package.json, which lies one folder up both from src/ and from dist/. */
export function version(): string {
  const file = join(import.meta.dirname, "../package.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
