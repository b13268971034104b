/** Images of the end-to-end tests, written once per run below `build/e2e-images`. */
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { busybox, type Entry, libraries, node as nodeBase, writeImage } from "@loretoken/test-cluster";

/** The C++ build: example, simulator, shim. */
export const build = path.resolve(process.env.LORETOKEN_BUILD ?? "build/release");
const images = path.resolve("build/e2e-images");

export const shellImage = "loretoken.local/shell:test";
export const nodeImage = "loretoken.local/node:test";
export const trainImage = "loretoken.local/train:test";

/** Static busybox. */
export async function shell(): Promise<string> {
  return writeImage({ name: shellImage, layers: [busybox()], config: { entrypoint: ["/bin/sh"] } }, place("shell"));
}

/** Node as it runs the tests, and a shell. */
export async function node(): Promise<string> {
  const config = { entrypoint: ["/usr/local/bin/node"] };
  return writeImage({ name: nodeImage, layers: [busybox(), nodeBase()], config }, place("node"));
}

/**
 * The example program with the simulated driver in place of NVIDIA's, which a container gets from its node otherwise.
 * @throws {Error} where `make build` has not been run
 */
export async function train(): Promise<string> {
  const program = path.join(build, "bin/lt_train_example");
  const simulator = path.join(build, "lib/sim");
  for (const file of [program, path.join(simulator, "libcuda.so.1")]) {
    if (!existsSync(file)) throw new Error(`${file} is missing: run make build, or set LORETOKEN_BUILD`);
  }
  const driver = ["libcuda.so.1", "libnvidia-ml.so.1", "lt_train_kernels_sim.so", "loretoken_kernels_sim.so"];
  const parts = driver.map(
    (name): Entry => ({ kind: "file", to: `/app/lib/sim/${name}`, from: path.join(simulator, name) }),
  );
  const needs = libraries([program, ...driver.map((name) => path.join(simulator, name))], [simulator]);
  return writeImage(
    {
      name: trainImage,
      layers: [
        [...busybox(), ...needs],
        [{ kind: "file", to: "/app/bin/lt_train_example", from: program }, ...parts],
      ],
      config: {
        entrypoint: ["/app/bin/lt_train_example"],
        // What is beside the shim is for cards.
        env: { LD_LIBRARY_PATH: "/app/lib/sim", LORETOKEN_KERNELS: "/app/lib/sim/loretoken_kernels_sim.so" },
      },
    },
    place("train"),
  );
}

function place(name: string): string {
  mkdirSync(images, { recursive: true });
  return path.join(images, `${name}.tar`);
}
