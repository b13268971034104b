/** Device handles: the only holders of the untyped pointer, and the place where a lost GPU is noticed. */
import type { Calls, Out, Pointer } from "./calls.ts";
import { errorCode, errorMeaning, NVML_SUCCESS, NvmlError, type NvmlErrorName } from "./errors.ts";

/** The functions that ask a device something. */
export type DeviceCall = {
  [Name in keyof Calls]: Parameters<Calls[Name]> extends [Pointer, ...unknown[]]
    ? Name extends `nvmlDevice${string}`
      ? Name
      : never
    : never;
}[keyof Calls];

type AfterDevice<Name extends DeviceCall> = Parameters<Calls[Name]> extends [Pointer, ...infer Rest] ? Rest : never;

/** `lost`: nothing can be asked of the GPU until it was reset or the node restarted. */
export type DeviceState =
  | { readonly state: "working" }
  | { readonly state: "lost"; readonly error: NvmlErrorName; readonly sentence: string };

const lostCodes = new Set([errorCode("NVML_ERROR_GPU_IS_LOST"), errorCode("NVML_ERROR_RESET_REQUIRED")]);
const absentCodes = new Set([errorCode("NVML_ERROR_NOT_SUPPORTED"), errorCode("NVML_ERROR_FUNCTION_NOT_FOUND")]);

/** Whether the code says that this GPU can no longer be used. */
export function meansLost(code: number): boolean {
  return lostCodes.has(code);
}

/** Whether the code says that this GPU or driver does not offer what was asked, which is no fault. */
export function meansAbsent(code: number): boolean {
  return absentCodes.has(code);
}

export function lostState(code: number): DeviceState {
  const { error } = new NvmlError("", code);
  return { state: "lost", error, sentence: `the GPU is lost: ${errorMeaning(error)}` };
}

/** One GPU. Valid as long as the NVML it came from is open. */
export class DeviceHandle {
  readonly #calls: Calls;
  readonly #pointer: Pointer;
  readonly #isOpen: () => boolean;
  #state: DeviceState = { state: "working" };

  /** `isOpen` is asked before every call: after shutdown NVML must not see this pointer again. */
  constructor(calls: Calls, pointer: Pointer, isOpen: () => boolean) {
    this.#calls = calls;
    this.#pointer = pointer;
    this.#isOpen = isOpen;
  }

  /** As the last call found it; a call that succeeds makes a lost GPU working again. */
  get state(): DeviceState {
    return this.#state;
  }

  /** Calls a function with this device. @returns NVML's code. */
  code<Name extends DeviceCall>(name: Name, ...rest: AfterDevice<Name>): number {
    if (!this.#isOpen()) return errorCode("NVML_ERROR_UNINITIALIZED");
    const call = this.#calls[name] as (device: Pointer, ...rest: unknown[]) => number;
    const code = call(this.#pointer, ...rest);
    if (meansLost(code)) this.#state = lostState(code);
    else if (code === NVML_SUCCESS) this.#state = { state: "working" };
    return code;
  }

  /** @throws {NvmlError} unless it succeeds. */
  must<Name extends DeviceCall>(name: Name, ...rest: AfterDevice<Name>): void {
    const code = this.code(name, ...rest);
    if (code !== NVML_SUCCESS) throw new NvmlError(name, code);
  }

  /**
   * @returns whether it was answered; false if this GPU or driver does not offer it.
   * @throws {NvmlError} for every other result.
   */
  ask<Name extends DeviceCall>(name: Name, ...rest: AfterDevice<Name>): boolean {
    const code = this.code(name, ...rest);
    if (code === NVML_SUCCESS) return true;
    if (meansAbsent(code)) return false;
    throw new NvmlError(name, code);
  }

  /** The figure of a function that answers with one. @returns undefined, @throws as `ask`. */
  number(name: NumberCall): number | undefined {
    const out: Out<number> = [0];
    return this.ask(name, out) ? out[0] : undefined;
  }
}

type NumberCall = {
  [Name in DeviceCall]: AfterDevice<Name> extends [Out<number>]
    ? [Out<number>] extends AfterDevice<Name>
      ? Name
      : never
    : never;
}[DeviceCall];

/** A NUL-terminated text that a call wrote. */
export function readText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
