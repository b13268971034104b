/** Packages of npm that a workspace's program is made of, by package-lock.json: what it depends on, directly or not. */
import { readFileSync } from "node:fs";
import path from "node:path";

interface Locked {
  readonly name?: string;
  readonly version?: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

type Packages = Readonly<Record<string, Locked>>;

export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  readonly license: string | undefined;
  /** `sha512-…` as npm has it; none for the project's own. */
  readonly integrity: string | undefined;
}

/**
 * @param workspace its folder
 * @param platform packages of other systems are left out, as npm leaves them: `linux-x64`
 */
export function npmPackages(root: string, workspace: string, platform: string): NpmPackage[] {
  const lock = JSON.parse(readFileSync(path.join(root, "package-lock.json"), "utf8"));
  const packages = lock.packages as Packages;
  if (!(workspace in packages)) throw new Error(`package-lock.json has no ${workspace}`);
  const found = new Map<string, NpmPackage>();
  const visited = new Set<string>();
  const waiting = [workspace];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (visited.has(at)) continue;
    visited.add(at);
    for (const { name, place } of needs(packages, at, platform)) {
      const { version = "", license, integrity } = packages[place] ?? {};
      found.set(`${name}@${version}`, { name, version, license, integrity });
      waiting.push(place);
    }
  }
  return [...found].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, one]) => one);
}

/** What one package needs, and where the lock file has it. Packages of the workspace are links to their folders. */
function needs(packages: Packages, at: string, platform: string): { name: string; place: string }[] {
  const { dependencies = {}, optionalDependencies = {} } = packages[at] ?? {};
  const optional = Object.keys(optionalDependencies).filter((name) => name.endsWith(platform));
  return [...Object.keys(dependencies), ...optional].map((name) => {
    const place = locate(packages, at, name);
    if (place === undefined) throw new Error(`package-lock.json has no ${name}, which ${at} needs`);
    const { link = false, resolved = "" } = packages[place] ?? {};
    return { name, place: link ? resolved : place };
  });
}

/** As Node looks for it: in node_modules of the package, then of each folder above. */
function locate(packages: Packages, from: string, name: string): string | undefined {
  for (let at = from; ; at = at.includes("/") ? at.slice(0, at.lastIndexOf("/")) : "") {
    const place = `${at === "" ? "" : `${at}/`}node_modules/${name}`;
    if (place in packages) return place;
    if (at === "") return undefined;
  }
}
