/** What runs on the card: each program alone on the machine first, then in a pod that asks for units. */
import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import path from "node:path";
import type { PodOptions, Pods } from "@loretoken/test-cluster";
import { resource } from "./agent.ts";
import { hostImage, hostMounts } from "./images.ts";
import { driverVariables, type Settings } from "./settings.ts";

export interface Program {
  readonly name: string;
  /** Units of loretoken.dev/vram in the pod. */
  readonly units: number;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The part of its output that must be the same in every run: hash of all bytes, bits of all losses. */
  proof(output: string): string | undefined;
}

export interface Programs {
  /** Holds more than its share and checks every byte. */
  readonly over: Program;
  /** PyTorch, which fits into its share. */
  readonly train: Program;
  /** The same with a share smaller than what it holds (about 16 GiB), so that launches wait. */
  readonly squeezed: Program;
}

const hash = (output: string) => /^hash \S+$/m.exec(output)?.[0];

/** Loss bits and the hash of gradients and parameters, from the line of JSON. */
function bits(output: string): string | undefined {
  const line = output.split("\n").findLast((text) => text.startsWith("{"));
  if (line === undefined) return undefined;
  const { loss_bits: losses, hash: sum } = JSON.parse(line);
  return `hash ${sum} losses ${losses.join(" ")}`;
}

export function programs(settings: Settings): Programs {
  const example = path.join(settings.build, "bin/lt_train_example");
  const training = (name: string, units: number, ...args: string[]): Program => ({
    name,
    units,
    command: [example, ...args],
    env: settings.simulated
      ? { LORETOKEN_KERNELS: path.join(settings.driver, "loretoken_kernels_sim.so"), ...driverVariables(settings) }
      : {},
    proof: hash,
  });
  if (settings.simulated) {
    return {
      over: training("over", 1, "--steps", "24", "--live", "900MiB"),
      train: training("train", 1, "--steps", "300", "--live", "100MiB"),
      squeezed: training("squeezed", 1, "--steps", "12", "--live", "850MiB"),
    };
  }
  const mlp = path.join(settings.tree, "bench/hardware/programs/train_mlp.py");
  const pytorch = (name: string, units: number): Program => ({
    name,
    units,
    command: [settings.python, mlp, "--scale", "large", "--steps", "80"],
    env: {
      PYTORCH_ALLOC_CONF: "backend:cudaMallocAsync",
      PYTHONDONTWRITEBYTECODE: "1",
      PYTHONUNBUFFERED: "1",
      HOME: "/tmp",
    },
    proof: bits,
  });
  return {
    over: training("over", 24, "--steps", "1500", "--live", "21GiB"),
    train: pytorch("train", 28),
    squeezed: pytorch("squeezed", 19),
  };
}

/** Runs it on the machine itself, without LoreToken. @returns its output @throws {Error} if it fails */
export async function plainRun(program: Program, settings: Settings, log: string): Promise<string> {
  const [file = "", ...args] = program.command;
  const child = spawn(file, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...program.env, LD_LIBRARY_PATH: `${settings.driver}:${process.env.LD_LIBRARY_PATH ?? ""}` },
  });
  let output = "";
  const file2 = createWriteStream(log);
  child.stdout.on("data", (data) => {
    output += data;
    file2.write(data);
  });
  child.stderr.on("data", (data) => file2.write(data));
  const code = await new Promise<number | string | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) => resolve(status ?? signal));
  });
  file2.end();
  if (code !== 0) throw new Error(`${program.command.join(" ")} ended with ${code}; see ${path.basename(log)}`);
  return output;
}

/** The same program as a pod. */
export function podOf(program: Program, settings: Settings): PodOptions {
  const { volumes, volumeMounts } = hostMounts(settings);
  return {
    name: program.name,
    image: hostImage,
    command: program.command,
    env: program.env,
    limits: { [resource]: program.units },
    spec: { hostNetwork: true, volumes },
    container: {
      imagePullPolicy: "Never",
      volumeMounts,
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
    },
  };
}

/** Waits until the pod has ended and reads what it printed. Its exit code is NaN if it did not end in time. */
export async function outcome(pods: Pods, name: string, timeoutMs: number): Promise<{ code: number; output: string }> {
  let code = Number.NaN;
  let late = "";
  try {
    code = await pods.ended(name, timeoutMs);
  } catch (error) {
    late = `\n${(error as Error).message}`;
  }
  const output = await pods.logs(name).catch((error: Error) => `(no log: ${error.message})`);
  return { code, output: output + late };
}
