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
export const directedImage = "loretoken.local/directed:test";

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
  return onSimulator(trainImage, "lt_train_example", ["lt_train_kernels_sim.so"]);
}

/**
 * The small programs of test/integration, which damage their own packed memory when asked; and kernels of ours that pack wrongly.
 * @throws {Error} as `train`
 */
export async function directed(): Promise<string> {
  return onSimulator(directedImage, "lt_directed", ["lt_fuzz_kernels_sim.so", "lt_wrong_kernels_sim.so"]);
}

async function onSimulator(name: string, binary: string, kernels: readonly string[]): Promise<string> {
  const program = path.join(build, "bin", binary);
  const simulator = path.join(build, "lib/sim");
  const driver = ["libcuda.so.1", "libnvidia-ml.so.1", "loretoken_kernels_sim.so", ...kernels];
  for (const file of [program, ...driver.map((part) => path.join(simulator, part))]) {
    if (!existsSync(file)) throw new Error(`${file} is missing: run make build, or set LORETOKEN_BUILD`);
  }
  const parts = driver.map(
    (part): Entry => ({ kind: "file", to: `/app/lib/sim/${part}`, from: path.join(simulator, part) }),
  );
  const needs = libraries([program, ...driver.map((part) => path.join(simulator, part))], [simulator]);
  return writeImage(
    {
      name,
      layers: [
        [...busybox(), ...needs],
        [{ kind: "file", to: `/app/bin/${binary}`, from: program }, ...parts],
      ],
      config: {
        entrypoint: [`/app/bin/${binary}`],
        // What is beside the shim is for cards.
        env: { LD_LIBRARY_PATH: "/app/lib/sim", LORETOKEN_KERNELS: "/app/lib/sim/loretoken_kernels_sim.so" },
      },
    },
    place(binary),
  );
}

function place(name: string): string {
  mkdirSync(images, { recursive: true });
  return path.join(images, `${name}.tar`);
}
