/** Two images, made from what the machine has: the agent's, and an empty one over which pods mount the machine's own programs. */
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import path from "node:path";
import type { V1Volume, V1VolumeMount } from "@kubernetes/client-node";
import { busybox, type Entry, folder, libraries, node, writeImage } from "@loretoken/test-cluster";
import type { Settings } from "./settings.ts";

export const agentImage = "loretoken.local/agent:hardware";
export const hostImage = "loretoken.local/host:hardware";

/** The agent as it is released: Node, the bundle, the shim with its kernels. The driver comes from the runtime. */
export async function agent(settings: Settings): Promise<string> {
  const shim = ["libloretoken.so", "loretoken_kernels.fatbin"]
    .map((name) => ({ name, from: path.join(settings.build, "lib", name) }))
    .filter(({ from }) => existsSync(from))
    .map(({ name, from }): Entry => ({ kind: "file", to: `/opt/loretoken/shim/${name}`, from }));
  const { env, entrypoint } = start(settings);
  return writeImage(
    {
      name: agentImage,
      layers: [
        [...busybox(), ...node(), ...libraries([path.join(settings.driver, "libnvidia-ml.so.1")])],
        [
          ...folder(settings.agent, "/app/dist"),
          { kind: "file", to: "/app/package.json", from: path.join(settings.tree, "device-plugin/package.json") },
          ...shim,
        ],
      ],
      config: { entrypoint, env, workdir: "/app" },
    },
    path.join(settings.root, "agent.tar"),
  );
}

/** As the package says that it is started. */
function start({ tree }: Settings): { entrypoint: string[]; env: Record<string, string> } {
  const { scripts } = JSON.parse(readFileSync(path.join(tree, "device-plugin/package.json"), "utf8"));
  const words = (scripts.start as string).split(" ");
  const command = words.findIndex((word) => !/^[A-Z_]+=/.test(word));
  const variables = words.slice(0, command).map((word) => word.split("=") as [string, string]);
  return { entrypoint: words.slice(command), env: Object.fromEntries(variables) };
}

const linked = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/** Nothing but the places where a pod mounts the machine's own folders. */
export async function host(settings: Settings): Promise<string> {
  const links = linked
    .filter((name) => existsSync(`/${name}`) && lstatSync(`/${name}`).isSymbolicLink())
    .map((name): Entry => ({ kind: "link", to: `/${name}`, target: readlinkSync(`/${name}`) }));
  const entries: Entry[] = [
    ...links,
    { kind: "folder", to: "/tmp", mode: 0o1777 },
    { kind: "text", to: "/etc/passwd", text: "root:x:0:0:root:/tmp:/bin/sh\n" },
    { kind: "text", to: "/etc/group", text: "root:x:0:\n" },
  ];
  return writeImage(
    { name: hostImage, layers: [entries], config: { entrypoint: ["/bin/sh"] } },
    path.join(settings.root, "host.tar"),
  );
}

/** The machine's programs at their own places, read-only; of /opt each folder, since the shim comes below it. */
export function hostMounts(settings: Settings): { volumes: V1Volume[]; volumeMounts: V1VolumeMount[] } {
  const real = linked.map((name) => `/${name}`).filter((name) => existsSync(name) && lstatSync(name).isDirectory());
  const opt = readdirSync("/opt", { withFileTypes: true })
    .filter((found) => found.isDirectory() && found.name !== "loretoken")
    .map((found) => `/opt/${found.name}`);
  const own = [settings.build, path.join(settings.tree, "bench/hardware/programs")];
  const covered = (name: string) => /^\/(usr|opt)\//.test(name);
  const further = settings.pythonFolders.filter((name) => !covered(name));
  const all = ["/usr", ...real, ...opt, ...own, ...further, "/etc/ld.so.cache"].filter((name) => existsSync(name));
  const named = [...new Set(all)].map((at, index) => ({ at, name: `host${index}` }));
  return {
    volumes: named.map(({ at, name }) => ({ name, hostPath: { path: at } })),
    volumeMounts: named.map(({ at, name }) => ({ name, mountPath: at, readOnly: true })),
  };
}
