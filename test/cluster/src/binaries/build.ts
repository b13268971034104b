/**
 * Builds a target from Go modules into a folder of the cache that is named by the module files and sources: once per
 * machine, whoever comes first; others wait for it. Broken off, it goes on where it was, since the Go command keeps every
 * package that was compiled.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { createInterface, type Interface } from "node:readline";
import { KUBERNETES_VERSION, type Target, type TargetName, targets } from "./catalog.ts";
import { type Log, Progress } from "./progress.ts";

const sources = path.resolve(import.meta.dirname, "../../go");
const sourceFiles = ["go.mod", "go.sum", "control/main.go", "node/main.go"];

/** The Go command is missing or too old; the message says what to do. */
export class MissingGoError extends Error {
  override name = "MissingGoError";
}

export interface Cache {
  /** Everything of the cluster in the cache. */
  readonly root: string;
  /** Programs of this state of the sources. */
  readonly bin: string;
}

export function cacheOf(environment: NodeJS.ProcessEnv): Cache {
  const base = environment.LORETOKEN_CACHE ?? path.join(environment.HOME ?? homedir(), ".cache/loretoken");
  const hash = createHash("sha256").update(process.arch);
  for (const file of sourceFiles) hash.update(readFileSync(path.join(sources, file)));
  const root = path.resolve(base, "cluster");
  return { root, bin: path.join(root, hash.digest("hex").slice(0, 16)) };
}

/**
 * Makes the target's programs be in `cache.bin`. Takes minutes of two cores when they are not yet.
 * @throws {MissingGoError} without Go 1.26 or later
 * @throws {Error} with the compiler's last lines when it fails
 */
export async function build(name: TargetName, cache: Cache, environment: NodeJS.ProcessEnv, log: Log): Promise<void> {
  const target = targets[name];
  const done = path.join(cache.bin, `.${name}`);
  if (existsSync(done)) return;
  const go = await checkGo(environment);
  mkdirSync(cache.bin, { recursive: true });
  log(`building ${name} (${programNames(target).join(", ")}) into ${cache.bin}; once, some minutes`);
  const progress = new Progress(name, await countPackages(target, go), log);
  const output = path.join(cache.bin, target.aliases === undefined ? "./" : `${name}-parts`);
  const compile = [...goBuild(target), "-v", "-o", output, ...target.packages];
  // The lock keeps test files that run at the same time from compiling the same; who waited finds all of it cached.
  await runGo(["flock", path.join(cache.bin, ".lock"), "nice", "-n", "19", "go", ...compile], go, (lines) => {
    lines.on("line", (line) => progress.line(line));
  });
  for (const alias of target.aliases ?? []) {
    const link = path.join(cache.bin, alias);
    rmSync(link, { force: true });
    symlinkSync(`${name}-parts`, link);
  }
  await runGo(["touch", done], go);
  progress.end();
}

/** Removes downloaded modules and compiled packages (gigabytes); programs stay. */
export async function removeBuildFolders(cache: Cache): Promise<void> {
  for (const folder of ["modules", "packages"]) rmSync(path.join(cache.root, folder), { recursive: true, force: true });
}

function programNames(target: Target): readonly string[] {
  return target.aliases ?? target.packages.map((name) => path.basename(name));
}

function goBuild(target: Target): string[] {
  const [major, minor] = KUBERNETES_VERSION.split(".");
  const stamps = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"].flatMap((module) => [
    `-X ${module}.gitVersion=v${KUBERNETES_VERSION}`,
    `-X ${module}.gitMajor=${major}`,
    `-X ${module}.gitMinor=${minor}`,
  ]);
  // Without tables for debuggers, which nobody reads here: a quarter less to compile.
  return [
    "build",
    "-trimpath",
    `-tags=${(target.tags ?? []).join(",")}`,
    "-gcflags=all=-dwarf=false",
    `-ldflags=-s -w ${stamps.join(" ")}`,
  ];
}

async function countPackages(target: Target, environment: NodeJS.ProcessEnv): Promise<number> {
  let count = 0;
  const list = ["go", "list", "-deps", `-tags=${(target.tags ?? []).join(",")}`, ...target.packages];
  await runGo(list, environment, undefined, (lines) => lines.on("line", () => count++));
  return count;
}

/** The environment of the Go command, checked: its modules and packages go to the cache, not to the user's folders. */
async function checkGo(environment: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  const cache = cacheOf(environment);
  const go = {
    ...environment,
    CGO_ENABLED: "0",
    GOFLAGS: "-modcacherw -buildvcs=false",
    GOMODCACHE: path.join(cache.root, "modules"),
    GOCACHE: path.join(cache.root, "packages"),
    GOWORK: "off",
    // The compiler spends a third of its time collecting garbage of processes that live for seconds.
    GOGC: environment.GOGC ?? "400",
  };
  let version = "";
  try {
    await runGo(["go", "env", "GOVERSION"], go, undefined, (lines) => lines.on("line", (line) => (version += line)));
  } catch {
    throw new MissingGoError(
      "Kubernetes is built with Go 1.26 or later, and there is no `go`: run scripts/bootstrap.sh cluster",
    );
  }
  const minor = Number(/^go1\.(\d+)/.exec(version)?.[1] ?? 0);
  if (minor < 26) {
    throw new MissingGoError(
      `Kubernetes is built with Go 1.26 or later, found ${version}: install a newer one and put it first in PATH`,
    );
  }
  return go;
}

type Reader = (lines: Interface) => void;

/** @throws {Error} with the last lines of standard error unless the command ends with 0 */
async function runGo(command: string[], env: NodeJS.ProcessEnv, errors?: Reader, output?: Reader): Promise<void> {
  const [file = "", ...args] = command;
  const child = spawn(file, args, { cwd: sources, env, stdio: ["ignore", "pipe", "pipe"] });
  const last: string[] = [];
  const errorLines = createInterface({ input: child.stderr });
  errorLines.on("line", (line) => {
    last.push(line);
    if (last.length > 40) last.shift();
  });
  errors?.(errorLines);
  output?.(createInterface({ input: child.stdout }));
  if (output === undefined) child.stdout.resume();
  const code = await new Promise<number | string | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) => resolve(status ?? signal));
  });
  if (code !== 0) throw new Error(`${command.slice(0, 8).join(" ")} … failed (${code}):\n${last.join("\n")}`);
}
