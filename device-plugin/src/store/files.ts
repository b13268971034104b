/** The few file operations that the agent's folder needs, so that a test can put a failure in the place of one. */
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";

export interface Files {
  mkdir(path: string): Promise<void>;
  /** Writes all of it and waits until it is on the disk, if `lasting`. The mode holds whatever the umask. */
  write(path: string, content: string | Uint8Array, options: { mode: number; lasting?: boolean }): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Folders with all that is in them; what is not there is no error. */
  remove(path: string): Promise<void>;
  /** Names; none if there is no such folder. */
  list(path: string): Promise<string[]>;
  read(path: string): Promise<string>;
  /** Bytes; undefined if there is no such file. */
  size(path: string): Promise<number | undefined>;
}

export const diskFiles: Files = {
  async mkdir(path) {
    await mkdir(path, { recursive: true, mode: 0o755 });
  },
  async write(path, content, { mode, lasting = false }) {
    const file = await open(path, "w", mode);
    try {
      await file.writeFile(content);
      await file.chmod(mode);
      if (lasting) await file.datasync();
    } finally {
      await file.close();
    }
  },
  rename,
  async remove(path) {
    await rm(path, { recursive: true, force: true });
  },
  async list(path) {
    return (await readdir(path).catch(orNothing)) ?? [];
  },
  async read(path) {
    return await readFile(path, "utf8");
  },
  async size(path) {
    return (await stat(path).catch(orNothing))?.size;
  },
};

function orNothing(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT") return undefined;
  throw error;
}

/** Makes a folder that others may pass through, whatever the umask. */
export async function mkdirOpen(files: Files, path: string): Promise<void> {
  await files.mkdir(path);
  await chmod(path, 0o755);
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
