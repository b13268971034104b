/** What the probe's answers mean. No processes here: answers in, findings out. */
import { formatBytes } from "./size.ts";

export interface Finding {
  readonly what: string;
  readonly good: boolean;
  readonly text: string;
  readonly fix?: string;
}

/** What `doctor_probe driver` prints; nothing in it can be relied on to be there. */
export interface DriverAnswer {
  readonly libc?: string;
  readonly path?: string;
  /** As cuDriverGetVersion: 1000 * major + 10 * minor. */
  readonly version?: number;
  readonly error?: string;
  readonly devices?: readonly DeviceAnswer[];
}

export interface DeviceAnswer {
  readonly index: number;
  readonly name?: string;
  readonly uuid?: string;
  readonly memory?: number;
  readonly vmm?: boolean;
  readonly compute?: string;
  readonly error?: string;
}

const oldestLibc = [2, 28];
const oldestDriver = 12_080;
const oldestCompute = 8.0;

export function libcFinding({ libc, error }: DriverAnswer): Finding {
  if (libc === undefined) {
    const fix = "LoreToken needs Linux on x86-64 with glibc 2.28 or later (musl does not do)";
    return { what: "libc", good: false, text: error ?? "the probe did not start", fix };
  }
  const [major = 0, minor = 0] = libc.split(".").map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = oldestLibc;
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) {
    return { what: "libc", good: true, text: `glibc ${libc}` };
  }
  return { what: "libc", good: false, text: `glibc ${libc}`, fix: "use a system with glibc 2.28 or later" };
}

export function driverFindings({ path, version, error, devices }: DriverAnswer): Finding[] {
  if (version === undefined) {
    const fix = "install NVIDIA's driver 570 or later; without a card try --gpu sim:24GiB";
    return [{ what: "driver", good: false, text: error ?? "no answer", fix }];
  }
  const text = `CUDA ${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}, ${path ?? ""}`;
  const driver: Finding =
    version >= oldestDriver
      ? { what: "driver", good: true, text }
      : { what: "driver", good: false, text, fix: "install NVIDIA's driver 570 (CUDA 12.8) or later" };
  if (error !== undefined) {
    const fix = "nvidia-smi must list the card; in a container pass the card in (docker run --gpus all)";
    return [driver, { what: "cards", good: false, text: error, fix }];
  }
  if (devices === undefined || devices.length === 0) {
    const fix = "check CUDA_VISIBLE_DEVICES and nvidia-smi";
    return [driver, { what: "cards", good: false, text: "the driver shows no card", fix }];
  }
  return [driver, ...devices.map(deviceFinding)];
}

function deviceFinding(device: DeviceAnswer): Finding {
  const what = `card ${device.index}`;
  if (device.error !== undefined) {
    return { what, good: false, text: device.error, fix: "see whether nvidia-smi reports an error of this card" };
  }
  const text = `${device.name}, ${formatBytes(device.memory ?? 0)}, compute ${device.compute}, ${device.uuid}`;
  if (device.vmm !== true) {
    const fix = "the card must support virtual memory management; vGPU profiles and WSL 1 do not";
    return { what, good: false, text: `${text}: no virtual memory management`, fix };
  }
  if (Number(device.compute) < oldestCompute) {
    return { what, good: false, text, fix: "kernels are built for compute 8.0 (Ampere) and later" };
  }
  return { what, good: true, text };
}

/** @param answer what `doctor_probe hooks` printed under the shim */
export function hookFindings(answer: unknown, shim: string): Finding[] {
  const fields = (typeof answer === "object" && answer !== null ? answer : {}) as Record<string, unknown>;
  const doors: [string, string][] = [
    ["linked", "programs linked against libcuda"],
    ["dlsym", "dlsym"],
    ["proc_address", "cuGetProcAddress"],
  ];
  if (typeof fields.error === "string") return [selfTestFailed(fields.error)];
  const findings = doors.map(([field, name]): Finding => {
    const file = String(fields[field] ?? "");
    if (sameFile(file, shim)) return { what: "hooks", good: true, text: `${name} leads to the shim` };
    const fix = "another preloaded library may come first: run with LD_PRELOAD unset";
    return { what: "hooks", good: false, text: `${name} leads to ${file || "nothing"}`, fix };
  });
  findings.push(tableFinding(fields.shim));
  if (fields.problem !== "") return [...findings, selfTestFailed(String(fields.problem))];
  return [...findings, { what: "memory", good: true, text: "48 MiB written and read back through the shim" }];
}

/** @param answer what the shim's `loretoken_selftest` says */
function tableFinding(answer: unknown): Finding {
  const { hooks, resolved } = (answer ?? {}) as { hooks?: unknown; resolved?: unknown };
  if (typeof hooks !== "number" || typeof resolved !== "number" || resolved === 0) {
    const fix = "the shim is of another release than this command: build or install both again";
    return { what: "hooks", good: false, text: "the shim does not answer its self-test", fix };
  }
  return { what: "hooks", good: true, text: `${resolved} of ${hooks} hooked functions exist in this driver` };
}

function selfTestFailed(text: string): Finding {
  return {
    what: "memory",
    good: false,
    text,
    fix: "run with LORETOKEN_MODE=off: if it fails too, the driver is at fault",
  };
}

function sameFile(a: string, b: string): boolean {
  return a.split("/").pop() === b.split("/").pop();
}
