/** The few file operations that the agent's folder needs, so that a test can put a failure in the place of one. */
import {
  chmodSync,
  closeSync,
  fchmodSync,
  fdatasync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rename,
  rm,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";

export interface Files {
  /** One that others may pass through, whatever the umask; with those above it. */
  mkdir(path: string): Promise<void>;
  /** Writes all of it and waits until it is on the disk, if `lasting`. The mode holds whatever the umask. */
  write(path: string, content: string | Uint8Array, options: { mode: number; lasting?: boolean }): Promise<void>;
  /**
   * Writes over a file that is there, spaces over what it has beyond the content, and waits until it is on the disk. Where the file
   * has the room already nothing but the content has to get there: that does not wait for what others write, as a new file does
   * on a file system with a journal.
   */
  overwrite(path: string, content: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Folders with all that is in them; what is not there is no error. */
  remove(path: string): Promise<void>;
  /** Names; none if there is no such folder. */
  list(path: string): Promise<string[]>;
  read(path: string): Promise<string>;
  /** Bytes; undefined if there is no such file. */
  size(path: string): Promise<number | undefined>;
}

const [datasync, move, removeAll] = [promisify(fdatasync), promisify(rename), promisify(rm)];

/**
 * What only touches the page cache is done at once: files are small, and a turn through the thread pool costs more than the call
 * itself. What may wait for the disk (forcing data out, a name that takes another's place, removing) waits in the pool, and nobody
 * else with it.
 */
export const diskFiles: Files = {
  async mkdir(path) {
    mkdirSync(path, { recursive: true, mode: 0o755 });
    chmodSync(path, 0o755);
  },
  async write(path, content, { mode, lasting = false }) {
    const file = openSync(path, "w", mode);
    try {
      writeFileSync(file, content);
      fchmodSync(file, mode);
      if (lasting) await datasync(file);
    } finally {
      closeSync(file);
    }
  },
  async overwrite(path, content) {
    const file = openSync(path, "r+");
    try {
      const bytes = Buffer.from(content);
      const rest = Buffer.alloc(Math.max(0, fstatSync(file).size - bytes.length), " ");
      writeFileSync(file, Buffer.concat([bytes, rest]));
      await datasync(file);
    } finally {
      closeSync(file);
    }
  },
  rename: (from, to) => move(from, to),
  remove: (path) => removeAll(path, { recursive: true, force: true }),
  async list(path) {
    return orNothing(() => readdirSync(path)) ?? [];
  },
  async read(path) {
    return readFileSync(path, "utf8");
  },
  async size(path) {
    return orNothing(() => statSync(path).size);
  },
};

function orNothing<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Whole or not at all, under its name. */
export async function replace(files: Files, path: string, content: string, mode = 0o644): Promise<void> {
  const temporary = `${path}.new`;
  await files.write(temporary, content, { mode, lasting: true });
  await files.rename(temporary, path);
}

const fixes: Record<string, string> = {
  ENOSPC: "the disk is full: make room there",
  EDQUOT: "the disk quota is used up: make room there",
  EROFS: "the file system is read-only: mount it writable",
  EACCES: "the agent may not write there: check owner and security labels of the folder",
  EPERM: "the agent may not write there: check owner and security labels of the folder",
  EIO: "the disk fails",
};

/** An error of the file system in words that name the place and what to do. */
export class DiskError extends Error {
  override name = "DiskError";

  constructor(what: string, path: string, cause: unknown) {
    const code = (cause as NodeJS.ErrnoException)?.code ?? "";
    const fix = fixes[code] === undefined ? "" : `; ${fixes[code]}`;
    super(`${what} in ${dirname(path)} failed: ${cause instanceof Error ? cause.message : cause}${fix}`, { cause });
  }
}
