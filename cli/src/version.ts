import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Of package.json, which lies one folder up both from src/ and from dist/. */
export function version(): string {
  const file = join(dirname(fileURLToPath(import.meta.url)), "../package.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
