/** Writes an image's files below a folder, for `COPY` in a Containerfile: `node images/write-root.ts <agent|operator> <folder>`. */
import { chmodSync, copyFileSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Entry } from "@loretoken/test-cluster";
import { contentsOf, type ImageName, imageNames } from "./contents.ts";

const [name = "", folder = ""] = process.argv.slice(2);
if (!imageNames.some((one) => one === name) || folder === "") {
  console.error(`usage: write-root.ts <${imageNames.join("|")}> <folder>`);
  process.exit(2);
}

function write(entry: Entry): void {
  const to = path.join(folder, entry.to);
  mkdirSync(path.dirname(to), { recursive: true });
  if (entry.kind === "folder") mkdirSync(to, { recursive: true, mode: entry.mode ?? 0o755 });
  else if (entry.kind === "link") symlinkSync(entry.target, to);
  else if (entry.kind === "text") writeFileSync(to, entry.text, { mode: entry.mode ?? 0o644 });
  else {
    copyFileSync(entry.from, to);
    chmodSync(to, statSync(entry.from).mode & 0o111 ? 0o755 : 0o644);
  }
}

const { layers } = await contentsOf(name as ImageName);
for (const entry of layers.flat()) write(entry);
