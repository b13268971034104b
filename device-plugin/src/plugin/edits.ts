/**
 * What a container is given with its units: the shim, its two files, the GPU, and what it may tell its user. One function per
 * way of handing in the GPU.
 */
import { join } from "node:path";
import { allocationVariables } from "@loretoken/api";
import type { Config } from "../config/schema.ts";
import type { Holding } from "../holding.ts";

interface Mount {
  readonly containerPath: string;
  readonly hostPath: string;
  readonly readOnly: boolean;
}

/** The kubelet's ContainerAllocateResponse. */
export interface Edits {
  readonly envs?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly mounts?: Mount[];
  readonly devices?: { readonly containerPath: string; readonly hostPath: string; readonly permissions: string }[];
  readonly cdiDevices?: { readonly name: string }[];
}

/** Where things are in the container. */
export const inside = {
  shim: "/opt/loretoken",
  preload: "/etc/ld.so.preload",
  control: "/run/loretoken/control",
  telemetry: "/run/loretoken/telemetry",
} as const;

/** The shim as it lies on the host. */
export interface DeliveredShim {
  /** Name of its folder, another for other contents. */
  readonly version: string;
  /** On the host. */
  readonly folder: string;
  /** File on the host that names the shim where the container has it. */
  readonly preload: string;
}

/** Of the GPU that the units are on. */
export interface GpuNames {
  readonly uuid: string;
  /** NVML's index now. */
  readonly index: number;
  /** Number of its device node. */
  readonly minor: number;
}

type Access = Pick<Config, "gpuAccess" | "cdiKind" | "cdiNames" | "driverFolder">;

export function containerEdits(holding: Holding, shim: DeliveredShim, gpu: GpuNames, access: Access): Edits {
  const given = gpuEdits(gpu, access);
  return {
    ...given,
    envs: { ...given.envs, ...variables(holding) },
    annotations: annotations(holding),
    mounts: [...(given.mounts ?? []), ...mounts(holding, shim)],
  };
}

/** The shim's folder has its version in its name: another version is another mount, and never in the place of one in use. */
function mounts(holding: Holding, shim: DeliveredShim): Mount[] {
  return [
    { containerPath: join(inside.shim, shim.version), hostPath: shim.folder, readOnly: true },
    { containerPath: inside.preload, hostPath: shim.preload, readOnly: true },
    { containerPath: inside.control, hostPath: holding.control, readOnly: true },
    { containerPath: inside.telemetry, hostPath: holding.telemetry, readOnly: false },
  ];
}

/**
 * Where the shim finds its files, and its shares for the case that it cannot read the control file: it then keeps to them all
 * the same. The last three are for people and programs that want to know.
 */
function variables({ id, gpuUuid, units, guaranteed, virtualSize }: Holding): Record<string, string> {
  return {
    LORETOKEN_CONTROL: inside.control,
    LORETOKEN_TELEMETRY: inside.telemetry,
    LORETOKEN_LIMIT: String(guaranteed),
    LORETOKEN_VIRTUAL: String(virtualSize),
    [allocationVariables.gpu]: gpuUuid,
    [allocationVariables.units]: String(units.length),
    [allocationVariables.allocation]: id,
  };
}

/** On the container, seen by the container runtime and its tools. */
function annotations({ id, gpuUuid, guaranteed, virtualSize }: Holding): Record<string, string> {
  return {
    "loretoken.dev/allocation": id,
    "loretoken.dev/gpu": gpuUuid,
    "loretoken.dev/virtual-bytes": String(virtualSize),
    "loretoken.dev/guaranteed-bytes": String(guaranteed),
  };
}

function gpuEdits(gpu: GpuNames, access: Access): Edits {
  switch (access.gpuAccess) {
    case "nvidia-variables":
      return byVariables(gpu);
    case "cdi":
      return byCdi(gpu, access);
    case "device-nodes":
      return byDeviceNodes(gpu, access);
    case "none":
      return {};
  }
}

/** NVIDIA's container runtime hands in devices and libraries; what else an image needs of the driver it says itself. */
function byVariables({ uuid }: GpuNames): Edits {
  return { envs: { NVIDIA_VISIBLE_DEVICES: uuid } };
}

function byCdi({ uuid, index }: GpuNames, { cdiKind, cdiNames }: Access): Edits {
  return { cdiDevices: [{ name: `${cdiKind}=${cdiNames === "uuid" ? uuid : index}` }] };
}

/** For runtimes that know nothing of GPUs. */
function byDeviceNodes({ minor }: GpuNames, { driverFolder }: Access): Edits {
  const nodes = [`/dev/nvidia${minor}`, "/dev/nvidiactl", "/dev/nvidia-uvm"];
  const devices = nodes.map((path) => ({ containerPath: path, hostPath: path, permissions: "rw" }));
  if (driverFolder === undefined) return { devices };
  return {
    devices,
    envs: { LD_LIBRARY_PATH: driverFolder },
    mounts: [{ containerPath: driverFolder, hostPath: driverFolder, readOnly: true }],
  };
}
