/** The node agent's image for tests: the bundle, Node, koffi, the shim, and NVML's simulator in the place of the driver. */
import { mkdirSync } from "node:fs";
import path from "node:path";
import { busybox, type Entry, folder, libraries, node, writeImage } from "@loretoken/test-cluster";
import { build as bundle } from "esbuild";
import { build } from "./images.ts";

export const agentImage = "loretoken.local/agent:test";
/** Node takes what it can get otherwise: 176 MiB in place of 100 after containers came and went for a minute. */
const small = [
  "--max-semi-space-size=1",
  "--max-old-space-size=64",
  "--max-lazy",
  "--optimize-for-size",
  "--v8-pool-size=1",
];
const root = path.resolve(import.meta.dirname, "../../..");

/** @throws {Error} where `make build` has not been run */
export async function agent(): Promise<string> {
  const dist = path.resolve("build/e2e-agent");
  await bundle({
    entryPoints: {
      agent: path.join(root, "device-plugin/src/main.ts"),
      "event-thread": path.join(root, "lib/nvml/src/event-thread.ts"),
    },
    outdir: dist,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    external: ["koffi"], // it looks for its native part beside itself
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    logLevel: "error",
  });
  const modules = path.join(root, "node_modules");
  const app: Entry[] = [
    { kind: "file", to: "/app/package.json", from: path.join(root, "device-plugin/package.json") },
    ...["agent.js", "event-thread.js"].map(
      (name): Entry => ({ kind: "file", to: `/app/dist/${name}`, from: path.join(dist, name) }),
    ),
    ...["index.js", "package.json", "src", "lib"].flatMap((name) => module(modules, `koffi/${name}`)),
    ...module(modules, "@koromix/koffi-linux-x64"),
  ];
  const shim: Entry[] = [
    { kind: "file", to: "/opt/loretoken/shim/libloretoken.so", from: path.join(build, "lib/libloretoken.so") },
  ];
  const nvml = path.join(build, "lib/sim/libnvidia-ml.so.1");
  const simulator: Entry[] = [{ kind: "file", to: "/opt/sim/libnvidia-ml.so.1", from: nvml }];
  mkdirSync("build/e2e-images", { recursive: true });
  return writeImage(
    {
      name: agentImage,
      layers: [
        [...busybox(), ...node(), ...libraries([nvml])],
        [...app, ...shim, ...simulator],
      ],
      config: { entrypoint: ["/usr/local/bin/node", ...small, "/app/dist/agent.js"], env: { MALLOC_ARENA_MAX: "1" } },
    },
    path.resolve("build/e2e-images/agent.tar"),
  );
}

function module(modules: string, name: string): Entry[] {
  const from = path.join(modules, name);
  const to = `/app/node_modules/${name}`;
  return path.extname(name) === "" ? folder(from, to) : [{ kind: "file", to, from }];
}
