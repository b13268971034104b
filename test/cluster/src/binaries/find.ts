/** Programs that the machine has: in `KUBEBUILDER_ASSETS`, then on PATH, each taken only when its version fits. */
import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { fits, type ProgramName, programs } from "./catalog.ts";

const run = promisify(execFile);

/** Folders that Debian leaves out of a user's PATH, where runc is. */
const systemFolders = ["/usr/sbin", "/sbin"];

/** @returns the program's path, or undefined where none fits. Never throws. */
export async function findOnMachine(name: ProgramName, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  const folders = [
    environment.KUBEBUILDER_ASSETS,
    ...(environment.PATH ?? "").split(path.delimiter),
    ...systemFolders,
  ].filter((folder) => folder !== undefined && folder !== "");
  for (const folder of new Set(folders)) {
    const candidate = path.join(folder as string, name);
    if (isExecutable(candidate) && fits(programs[name], await versionOf(candidate, programs[name].ask))) {
      return candidate;
    }
  }
  return undefined;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What the program says of its version, empty if it says nothing within 10 s. */
async function versionOf(file: string, ask: readonly string[]): Promise<string> {
  try {
    const { stdout, stderr } = await run(file, [...ask], { timeout: 10_000 });
    return `${stdout}\n${stderr}`;
  } catch {
    return "";
  }
}
