/** The node agent's image for tests: the bundle, Node, koffi, the shim, and NVML's simulator in the place of the driver. */
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { busybox, type Entry, folder, libraries, node, writeImage } from "@loretoken/test-cluster";
import { build } from "./images.ts";

export const agentImage = "loretoken.local/agent:test";
const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, "../../..");

/** @throws {Error} where `make build` has not been run */
export async function agent(): Promise<string> {
  await run(process.execPath, [path.join(root, "device-plugin/scripts/bundle.ts")], { cwd: root });
  const app: Entry[] = [
    ...folder(path.join(root, "device-plugin/dist"), "/app/dist"),
    { kind: "file", to: "/app/package.json", from: path.join(root, "device-plugin/package.json") },
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
      config: { ...start(), workdir: "/app" },
    },
    path.resolve("build/e2e-images/agent.tar"),
  );
}

/** As the package says that it is started, with what bounds Node's memory: variables first, as in a shell. */
function start(): { entrypoint: string[]; env: Record<string, string> } {
  const { scripts } = JSON.parse(readFileSync(path.join(root, "device-plugin/package.json"), "utf8"));
  const words = (scripts.start as string).split(" ");
  const command = words.findIndex((word) => !/^[A-Z_]+=/.test(word));
  const variables = words.slice(0, command).map((word) => word.split("=") as [string, string]);
  return { entrypoint: words.slice(command), env: Object.fromEntries(variables) };
}
