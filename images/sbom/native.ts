/** What is in an image and does not come from npm: Node, libraries of the system, and what the shim was made with. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Entry } from "@loretoken/test-cluster";

export interface NativeFile {
  /** By its path in the image. */
  readonly at: string;
  readonly sha256: string;
  /** Debian's package that it comes from, where this machine knows it. */
  readonly debian: { readonly name: string; readonly version: string } | undefined;
}

export function nativeFiles(entries: readonly Entry[]): NativeFile[] {
  const files = entries.filter((entry) => entry.kind === "file");
  const packages = debianPackages(files.map(({ from }) => from));
  return files
    .map(({ to, from }) => ({
      at: to,
      sha256: createHash("sha256").update(readFileSync(from)).digest("hex"),
      debian: packages.get(from),
    }))
    .sort((left, right) => (left.at < right.at ? -1 : 1));
}

/** By file; none where there is no dpkg. */
function debianPackages(files: readonly string[]): Map<string, NonNullable<NativeFile["debian"]>> {
  // Where /lib is a link to /usr/lib, dpkg knows a file by one of both names.
  const namesOf = (file: string): string[] => [file, file.replace(/^\/usr/, ""), `/usr${file}`];
  const owners = new Map<string, string>();
  for (const line of ask(["--search", ...files.flatMap(namesOf)])) {
    const [owner = "", file = ""] = line.split(": ");
    owners.set(file, owner);
  }
  const versions = new Map(
    ask(["--show", ...new Set(owners.values())]).map((line) => line.split("\t") as [string, string]),
  );
  return new Map(
    files.flatMap((file) => {
      const owner = namesOf(file).flatMap((name) => owners.get(name) ?? [])[0];
      const version = owner === undefined ? undefined : versions.get(owner);
      return owner === undefined || version === undefined ? [] : [[file, { name: owner.replace(/:.*/, ""), version }]];
    }),
  );
}

/** Lines of its answer. What it does not know is left out of it. */
function ask(words: readonly string[]): string[] {
  if (words.length === 1) return [];
  const { stdout } = spawnSync("dpkg-query", words, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return (stdout ?? "").split("\n").filter((line) => line !== "");
}

export interface Toolchain {
  readonly compiler: string;
  readonly cuda: string | undefined;
}

/** What the C++ build was configured with; undefined where there is none. */
export function toolchainOf(build: string): Toolchain | undefined {
  const files = path.join(build, "CMakeFiles");
  if (!existsSync(path.join(build, "CMakeCache.txt"))) return undefined;
  const folder = readdirSync(files).find((name) => existsSync(path.join(files, name, "CMakeCXXCompiler.cmake")));
  const compiler = readFileSync(path.join(files, folder ?? "", "CMakeCXXCompiler.cmake"), "utf8");
  const value = (name: string): string => new RegExp(`set\\(${name} "([^"]*)"\\)`).exec(compiler)?.[1] ?? "";
  const cache = readFileSync(path.join(build, "CMakeCache.txt"), "utf8");
  const include = /^LORETOKEN_CUDA_INCLUDE:PATH=(.*)$/m.exec(cache)?.[1] ?? "";
  const header = path.join(include, "cuda.h");
  const cuda = existsSync(header) ? /#define CUDA_VERSION (\d+)/.exec(readFileSync(header, "utf8"))?.[1] : undefined;
  return {
    compiler: `${value("CMAKE_CXX_COMPILER_ID")} ${value("CMAKE_CXX_COMPILER_VERSION")}`,
    cuda: cuda === undefined ? undefined : `${Math.floor(Number(cuda) / 1000)}.${(Number(cuda) % 1000) / 10}`,
  };
}
