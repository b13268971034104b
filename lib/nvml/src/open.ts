/** Whether this node has NVIDIA GPUs that can be asked. That it has none is a state, not an error. */
import { type Calls, loadCalls } from "./calls.ts";
import { errorMeaning, NvmlError, type NvmlErrorName } from "./errors.ts";
import { Nvml } from "./nvml.ts";

/** The name under which the driver installs it. */
export const driverLibrary = "libnvidia-ml.so.1";

export type AbsenceReason =
  /** The library is not there. */
  | "no-library"
  /** The library is there and cannot be loaded. */
  | "unusable-library"
  /** The kernel module is not loaded. */
  | "no-driver"
  /** Library and kernel module differ: an update without a restart. */
  | "version-mismatch"
  | "no-permission"
  | "no-gpu"
  /** Another NVML error, named in the sentence. */
  | "failed";

export type NvmlState =
  | { readonly state: "ready"; readonly nvml: Nvml }
  | { readonly state: "absent"; readonly reason: AbsenceReason; readonly sentence: string };

type Absent = Extract<NvmlState, { state: "absent" }>;

export interface OpenOptions {
  /** Path or name for the dynamic loader. */
  readonly library?: string | undefined;
  /** How the library is loaded; throws if it cannot be. */
  readonly load?: ((library: string) => Calls) | undefined;
}

/**
 * Loads and starts NVML. Never throws for what a node can lack: the state says it in a sentence for people. May be
 * called again later (a driver can be installed meanwhile). Without persistence mode the first call wakes the GPUs,
 * which can take seconds.
 */
export function openNvml({ library = driverLibrary, load = loadCalls }: OpenOptions = {}): NvmlState {
  let calls: Calls;
  try {
    calls = load(library);
  } catch (error) {
    return notLoaded(library, error instanceof Error ? error.message : String(error));
  }
  let nvml: Nvml | undefined;
  try {
    nvml = new Nvml(calls, library);
    if (nvml.deviceCount() > 0) return { state: "ready", nvml };
    nvml.close();
    return absent("no-gpu", `no NVIDIA GPU on this node: the driver (${library}) finds none`);
  } catch (error) {
    nvml?.close();
    if (error instanceof NvmlError) return notStarted(error);
    throw error;
  }
}

function absent(reason: AbsenceReason, sentence: string): Absent {
  return { state: "absent", reason, sentence };
}

function notLoaded(library: string, message: string): Absent {
  if (/no such file/i.test(message)) {
    return absent("no-library", `no NVIDIA driver on this node: ${library} is not there`);
  }
  return absent("unusable-library", `the NVIDIA driver on this node cannot be used: ${library}: ${message}`);
}

const reasons: Partial<Record<NvmlErrorName, AbsenceReason>> = {
  NVML_ERROR_DRIVER_NOT_LOADED: "no-driver",
  NVML_ERROR_LIB_RM_VERSION_MISMATCH: "version-mismatch",
  NVML_ERROR_NO_PERMISSION: "no-permission",
  NVML_ERROR_GPU_NOT_FOUND: "no-gpu",
};

const beginnings: Partial<Record<AbsenceReason, string>> = {
  "no-driver": "no NVIDIA driver on this node",
  "version-mismatch": "the NVIDIA driver on this node was updated and needs a restart of the node",
  "no-permission": "the NVIDIA driver on this node refuses this process",
  "no-gpu": "no NVIDIA GPU on this node",
};

function notStarted({ call, error }: NvmlError): Absent {
  const reason = reasons[error] ?? "failed";
  const beginning = beginnings[reason] ?? "the NVIDIA driver on this node does not answer";
  return absent(reason, `${beginning}: ${errorMeaning(error)} (${call}: ${error})`);
}
