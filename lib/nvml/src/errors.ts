/** NVML's result codes by their own names, and the error that carries one. */

const results = [
  [1, "NVML_ERROR_UNINITIALIZED", "NVML was not started, or was shut down"],
  [2, "NVML_ERROR_INVALID_ARGUMENT", "an argument was refused"],
  [3, "NVML_ERROR_NOT_SUPPORTED", "this GPU does not offer it"],
  [4, "NVML_ERROR_NO_PERMISSION", "this process may not ask for it"],
  [5, "NVML_ERROR_ALREADY_INITIALIZED", "NVML was started before"],
  [6, "NVML_ERROR_NOT_FOUND", "there is no such object"],
  [7, "NVML_ERROR_INSUFFICIENT_SIZE", "the room given for the answer is too small"],
  [8, "NVML_ERROR_INSUFFICIENT_POWER", "a power cable of the GPU is not attached"],
  [9, "NVML_ERROR_DRIVER_NOT_LOADED", "the NVIDIA kernel module is not loaded"],
  [10, "NVML_ERROR_TIMEOUT", "nothing came within the time given"],
  [11, "NVML_ERROR_IRQ_ISSUE", "the kernel sees a problem with the GPU's interrupts"],
  [12, "NVML_ERROR_LIBRARY_NOT_FOUND", "NVML cannot find a library it needs"],
  [13, "NVML_ERROR_FUNCTION_NOT_FOUND", "this version of the driver lacks the function"],
  [14, "NVML_ERROR_CORRUPTED_INFOROM", "the GPU's infoROM is damaged"],
  [15, "NVML_ERROR_GPU_IS_LOST", "the GPU fell off the bus or cannot be reached"],
  [16, "NVML_ERROR_RESET_REQUIRED", "the GPU must be reset before it can be used again"],
  [17, "NVML_ERROR_OPERATING_SYSTEM", "the operating system blocks the GPU"],
  [18, "NVML_ERROR_LIB_RM_VERSION_MISMATCH", "library and kernel module are of different driver versions"],
  [19, "NVML_ERROR_IN_USE", "the GPU is in use"],
  [20, "NVML_ERROR_MEMORY", "host memory ran out"],
  [21, "NVML_ERROR_NO_DATA", "there is no data"],
  [22, "NVML_ERROR_VGPU_ECC_NOT_SUPPORTED", "not possible for a vGPU while ECC is on"],
  [23, "NVML_ERROR_INSUFFICIENT_RESOURCES", "a resource other than memory ran out"],
  [24, "NVML_ERROR_FREQ_NOT_SUPPORTED", "the GPU does not run at that frequency"],
  [25, "NVML_ERROR_ARGUMENT_VERSION_MISMATCH", "the version of a structure is not known to the driver"],
  [26, "NVML_ERROR_DEPRECATED", "the function is no longer offered"],
  [27, "NVML_ERROR_NOT_READY", "the system is not ready yet"],
  [28, "NVML_ERROR_GPU_NOT_FOUND", "no GPU was found"],
  [29, "NVML_ERROR_INVALID_STATE", "not possible in the present state"],
  [30, "NVML_ERROR_RESET_TYPE_NOT_SUPPORTED", "the GPU cannot be reset this way"],
  [999, "NVML_ERROR_UNKNOWN", "an internal error of the driver"],
] as const;

/** NVML's name of an error; a code of a later NVML reads as `NVML_ERROR_<number>`. */
export type NvmlErrorName = (typeof results)[number][1] | `NVML_ERROR_${number}`;

export const NVML_SUCCESS = 0;

const byCode = new Map<number, { name: NvmlErrorName; meaning: string }>(
  results.map(([code, name, meaning]) => [code, { name, meaning }]),
);
const byName = new Map<string, number>(results.map(([code, name]) => [name, code]));

/** @returns NVML's name of a code other than NVML_SUCCESS. */
export function errorName(code: number): NvmlErrorName {
  return byCode.get(code)?.name ?? `NVML_ERROR_${code}`;
}

/** @returns the code of an error that NVML 13 names. */
export function errorCode(name: (typeof results)[number][1]): number {
  return byName.get(name) ?? Number.NaN;
}

/** @returns what the error means, to a person; a part of a sentence. */
export function errorMeaning(name: NvmlErrorName): string {
  return byCode.get(byName.get(name) ?? Number.NaN)?.meaning ?? "an error that this program does not know";
}

/** An NVML call did not answer. */
export class NvmlError extends Error {
  override name = "NvmlError";
  /** NVML's function, as `nvmlDeviceGetPowerUsage`. */
  readonly call: string;
  readonly code: number;
  /** NVML's name of the code. */
  readonly error: NvmlErrorName;

  constructor(call: string, code: number) {
    const error = errorName(code);
    super(`${call}: ${error} (${errorMeaning(error)})`);
    this.call = call;
    this.code = code;
    this.error = error;
  }
}
