/**
 * What the images have in them, file by file: a program as one bundle, Node with its libraries, and for the agent the shim. No shell,
 * no package manager. Containerfiles and images without a daemon are made from the same list.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { type Entry, folder, type ImageConfig, node } from "@loretoken/test-cluster";
import { billOfMaterials } from "./sbom/index.ts";

const run = promisify(execFile);
export const root = path.resolve(import.meta.dirname, "..");

/** Where `make build` has put the shim. */
export const build = path.resolve(process.env.LORETOKEN_BUILD ?? path.join(root, "build/release"));

export const imageNames = ["agent", "operator"] as const;
export type ImageName = (typeof imageNames)[number];

const facts = {
  agent: {
    source: "device-plugin",
    /** The kubelet's sockets, and the folder on the node, are root's. */
    user: "0:0",
    shim: ["libloretoken.so", "loretoken_kernels.fatbin"],
    /** Where container runtimes put the driver's libraries when an image has no cache of libraries. */
    env: { LD_LIBRARY_PATH: "/usr/lib64:/usr/local/nvidia/lib64" },
  },
  operator: { source: "operator", user: "65532:65532", shim: [], env: {} },
} as const;

export interface Contents {
  /** Lowest layer first: what seldom changes, then what does. */
  readonly layers: readonly (readonly Entry[])[];
  readonly config: ImageConfig;
  readonly version: string;
}

export interface ContentsOptions {
  /** Without kernels for GPUs, which a machine without nvcc cannot make: for tests on simulated GPUs. */
  readonly withoutKernels?: boolean;
}

/**
 * Bundles the program, and lists what its image has.
 * @throws {Error} that says what has to be built first
 */
export async function contentsOf(name: ImageName, options: ContentsOptions = {}): Promise<Contents> {
  const { source, user, env } = facts[name];
  const home = path.join(root, source);
  if (!existsSync(path.join(home, "package.json"))) throw new Error(`${source}/ is not there: no image of the ${name}`);
  const dist = path.join(root, "build/images", name, "dist");
  mkdirSync(path.dirname(dist), { recursive: true });
  await run(process.execPath, [path.join(home, "scripts/bundle.ts"), dist], { cwd: root });

  const base = [...node(), ...identity];
  const shim = shimOf(name, options);
  const app: Entry[] = [
    ...folder(dist, "/app/dist"),
    { kind: "file", to: "/app/package.json", from: path.join(home, "package.json") },
    { kind: "file", to: "/usr/share/doc/loretoken/LICENSE", from: path.join(root, "LICENSE") },
  ];
  const { version } = readJson(path.join(home, "package.json")) as { version: string };
  const bill = billOfMaterials({ root, build, name, workspace: source, version, files: [...base, ...shim] });
  app.push({ kind: "text", to: "/usr/share/loretoken/sbom.cdx.json", text: `${JSON.stringify(bill, undefined, 2)}\n` });
  const start = startOf(home);
  return {
    layers: [base, [...shim, ...app]],
    config: { ...start, env: { ...env, ...start.env }, user, workdir: "/app" },
    version,
  };
}

/** So that programs that ask for their user's name get one, and runtimes tell where such a system has its libraries. */
const identity: readonly Entry[] = [
  { kind: "text", to: "/etc/passwd", text: "root:x:0:0:root:/:/nologin\nnonroot:x:65532:65532:nonroot:/:/nologin\n" },
  { kind: "text", to: "/etc/group", text: "root:x:0:\nnonroot:x:65532:\n" },
  { kind: "text", to: "/etc/debian_version", text: "12\n" },
];

function shimOf(name: ImageName, { withoutKernels = false }: ContentsOptions): Entry[] {
  return facts[name].shim
    .filter((file) => !(withoutKernels && file.endsWith(".fatbin")))
    .map((file): Entry => {
      const from = path.join(build, "lib", file);
      if (!existsSync(from)) {
        throw new Error(`${from} is missing: run make build (kernels for GPUs need nvcc), or set LORETOKEN_BUILD`);
      }
      return { kind: "file", to: `/opt/loretoken/shim/${file}`, from };
    });
}

/** As the package says that it is started: variables first, as in a shell. */
function startOf(home: string): { entrypoint: string[]; env: Record<string, string> } {
  const { scripts } = readJson(path.join(home, "package.json")) as { scripts: { start: string } };
  const words = scripts.start.split(" ");
  const command = words.findIndex((word) => !/^[A-Z_]+=/.test(word));
  const variables = words.slice(0, command).map((word) => word.split("=") as [string, string]);
  const [program, ...rest] = words.slice(command);
  return { entrypoint: [`/usr/local/bin/${program}`, ...rest], env: Object.fromEntries(variables) };
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, "utf8"));
}
