/** Folders of clusters, and the removal of those whose test was killed before it could do so. */
import { mkdirSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Programs } from "../binaries/index.ts";

// guard.sh knows this name too. Folders stay short: paths of sockets may have 107 characters.
const prefix = "loretoken-cluster-";
const pattern = /^loretoken-cluster-(\d+)-\d+$/;

/** @returns a name that no living process of this machine uses */
export function newName(folder = tmpdir()): string {
  for (let number = 1; ; number++) {
    const name = `${prefix}${process.pid}-${number}`;
    try {
      mkdirSync(path.join(folder, name), { mode: 0o755 });
      return name;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

export function folderOf(name: string, folder = tmpdir()): string {
  return path.join(folder, name);
}

/** Removes folders of processes that are gone. Nothing is mounted there any more: mounts were private to the node. */
export function sweep(folder = tmpdir()): void {
  for (const name of readdirSync(folder)) {
    const [, pid] = pattern.exec(name) ?? [];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(path.join(folder, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** @returns a folder of links named as the programs are called, for PATH */
export function linkPrograms(folder: string, programs: Partial<Programs>): string {
  const bin = path.join(folder, "bin");
  mkdirSync(bin, { recursive: true });
  for (const [name, file] of Object.entries(programs)) symlinkSync(file, path.join(bin, name));
  return bin;
}
