/** What images are made from on a machine without a registry: its static busybox, its C library, its Node. */
import { execFileSync } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import path from "node:path";
import { type Image, writeImage } from "./image.ts";
import type { Entry } from "./layer.ts";

const applets = "sh cat ls sleep echo env head wc kill ps dd mkdir rm grep ip".split(" ");

/**
 * A shell and some tools, as one static program; none that looks up names, which a static C library dies of.
 * @throws {Error} where Debian's `busybox-static` is missing
 */
export function busybox(): Entry[] {
  const folders = [...(process.env.PATH ?? "").split(path.delimiter), "/usr/bin", "/bin"];
  const file = folders.map((folder) => path.join(folder, "busybox")).find((candidate) => existsSync(candidate));
  if (file === undefined) throw new Error("there is no busybox: run scripts/bootstrap.sh cluster");
  return [
    { kind: "file", to: "/bin/busybox", from: file },
    ...applets.map((name): Entry => ({ kind: "link", to: `/bin/${name}`, target: "busybox" })),
    { kind: "folder", to: "/tmp", mode: 0o1777 },
  ];
}

/**
 * The dynamic loader and the libraries of this machine that the programs (or libraries) need, where they expect them.
 * @param search folders to look into first, as LD_LIBRARY_PATH; what is found there is left out
 * @throws {Error} if one is not found
 */
export function libraries(programs: readonly string[], search: readonly string[] = []): Entry[] {
  const found = new Map<string, Entry>();
  for (const program of programs) {
    const output = execFileSync("ldd", [program], {
      encoding: "utf8",
      env: { ...process.env, LD_LIBRARY_PATH: search.join(":"), LD_PRELOAD: "" },
    });
    for (const line of output.split("\n")) {
      if (line.includes("not found")) throw new Error(`${program} needs a library that is missing: ${line.trim()}`);
      const file = /(?:=> |^\s*)(\/\S+) \(0x/.exec(line)?.[1];
      if (file === undefined || search.some((place) => file.startsWith(`${path.resolve(place)}/`))) continue;
      // Where `/lib` is a link to `/usr/lib`, the real one is in the image, and the loader by its well-known name.
      const to = path.basename(file).startsWith("ld-")
        ? file
        : path.join(realpathSync(path.dirname(file)), path.basename(file));
      found.set(to, { kind: "file", to, from: to });
    }
  }
  return [...found.values(), ...glibcRest([...found.keys()])];
}

/** Parts of the C library that every glibc image has and that what is preloaded may name, though the program does not. */
function glibcRest(known: readonly string[]): Entry[] {
  const libc = known.find((file) => path.basename(file) === "libc.so.6");
  if (libc === undefined) return [];
  return ["libdl.so.2", "libm.so.6", "libpthread.so.0", "librt.so.1"]
    .map((name) => path.join(path.dirname(libc), name))
    .filter((file) => !known.includes(file) && existsSync(file))
    .map((file): Entry => ({ kind: "file", to: file, from: file }));
}

/** Node as it runs here, at `/usr/local/bin/node`, with its libraries. */
export function node(): Entry[] {
  const file = realpathSync(process.execPath);
  return [{ kind: "file", to: "/usr/local/bin/node", from: file }, ...libraries([file])];
}

/** What holds a pod's namespaces. It is never asked to do anything. */
export async function pauseImage(folder: string): Promise<string> {
  const image: Image = {
    name: "loretoken.local/pause:1",
    layers: [busybox()],
    config: { entrypoint: ["/bin/sleep", "2147483647"] },
  };
  return writeImage(image, path.join(folder, "pause.tar"));
}
