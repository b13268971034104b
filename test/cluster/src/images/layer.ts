/** What goes into an image: files, folders and links by their path in it. The same entries make the same bytes. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, lstatSync, readdirSync, readlinkSync, realpathSync } from "node:fs";
import path from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Pack, pack } from "tar-stream";

export type Entry =
  /** A file of this machine; a link is followed. Owner and time are not kept; the right to execute is. */
  | { readonly kind: "file"; readonly to: string; readonly from: string }
  | { readonly kind: "text"; readonly to: string; readonly text: string; readonly mode?: number }
  | { readonly kind: "link"; readonly to: string; readonly target: string }
  | { readonly kind: "folder"; readonly to: string; readonly mode?: number };

/** All files below a folder of this machine, links as links. */
export function folder(from: string, to: string): Entry[] {
  return readdirSync(from, { recursive: true, withFileTypes: true }).flatMap((found): Entry[] => {
    const file = path.join(found.parentPath, found.name);
    const place = path.posix.join(to, path.relative(from, file));
    if (found.isSymbolicLink()) return [{ kind: "link", to: place, target: readlinkSync(file) }];
    if (found.isFile()) return [{ kind: "file", to: place, from: file }];
    return [];
  });
}

export interface Layer {
  readonly file: string;
  readonly digest: string;
  readonly size: number;
}

/**
 * Writes a tar of the entries, sorted, parents first, all owned by root, dated 1970.
 * @throws {Error} if two entries have the same path but different content, or a file cannot be read
 */
export async function writeLayer(entries: readonly Entry[], file: string): Promise<Layer> {
  const sorted = withParents(entries);
  const tar = pack();
  const hash = createHash("sha256");
  let size = 0;
  const measure = new Transform({
    transform(chunk, _encoding, done) {
      hash.update(chunk);
      size += chunk.length;
      done(null, chunk);
    },
  });
  const written = pipeline(tar, measure, createWriteStream(file));
  for (const entry of sorted) await addEntry(tar, entry);
  tar.finalize();
  await written;
  return { file, digest: `sha256:${hash.digest("hex")}`, size };
}

function withParents(entries: readonly Entry[]): Entry[] {
  const byPath = new Map<string, Entry>();
  for (const entry of entries) {
    const to = entry.to.replace(/^\/+|\/+$/g, "");
    const known = byPath.get(to);
    if (known !== undefined && JSON.stringify({ ...known, to }) !== JSON.stringify({ ...entry, to })) {
      throw new Error(`two different entries for /${to} of an image`);
    }
    byPath.set(to, { ...entry, to });
  }
  for (const to of [...byPath.keys()]) {
    for (let parent = path.posix.dirname(to); parent !== "."; parent = path.posix.dirname(parent)) {
      if (!byPath.has(parent)) byPath.set(parent, { kind: "folder", to: parent });
    }
  }
  return [...byPath.values()].sort((left, right) => (left.to < right.to ? -1 : 1));
}

async function addEntry(tar: Pack, entry: Entry): Promise<void> {
  const common = { name: entry.to, mtime: new Date(0), uid: 0, gid: 0, uname: "", gname: "" };
  switch (entry.kind) {
    case "folder":
      return addSmall(tar, { ...common, type: "directory", mode: entry.mode ?? 0o755 });
    case "link":
      return addSmall(tar, { ...common, type: "symlink", linkname: entry.target, mode: 0o777 });
    case "text":
      return addSmall(tar, { ...common, mode: entry.mode ?? 0o644 }, entry.text);
    case "file": {
      const real = realpathSync(entry.from);
      const { size, mode } = lstatSync(real);
      const sink = tar.entry({ ...common, size, mode: mode & 0o111 ? 0o755 : 0o644 });
      await pipeline(createReadStream(real), sink);
    }
  }
}

async function addSmall(tar: Pack, header: Parameters<Pack["entry"]>[0], content = ""): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    tar.entry(header, content, (error) => (error ? reject(error) : resolve()));
  });
}
