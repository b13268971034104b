/** One GPU: who it is, what it says now, and whether it still answers. */
import type { Out } from "./calls.ts";
import { type ClockReason, type Clocks, readClockReasons, readClocks } from "./clocks.ts";
import { NvmlError } from "./errors.ts";
import { type DeviceHandle, type DeviceState, meansLost, readText } from "./handle.ts";
import { NAME_BYTES, type PciInfo, SINCE_DRIVER_LOAD, UNCORRECTED, UUID_BYTES } from "./layout.ts";
import { type ComputeProcess, type Memory, readMemory, readProcesses } from "./memory.ts";
import { readLimits, readMarginToSlowdown, readTemperature, type TemperatureLimits } from "./temperature.ts";

/** Whether the GPU is parted into MIG instances now, and after its next reset. */
export interface MigMode {
  readonly current: boolean;
  readonly pending: boolean;
}

/** Figures of one moment; undefined where the GPU does not offer one. Units as of the methods of the same names. */
export interface Reading {
  readonly memory: Memory | undefined;
  readonly temperature: number | undefined;
  readonly marginToSlowdown: number | undefined;
  readonly powerMilliwatts: number | undefined;
  readonly powerLimitMilliwatts: number | undefined;
  readonly clockReasons: ClockReason[] | undefined;
  readonly uncorrectedErrors: number | undefined;
}

/**
 * Identity is read once, so that a GPU that is lost later still has its name. Methods return undefined for what this
 * GPU or driver does not offer, and throw {NvmlError} when it should have answered and did not; a result that means
 * that the GPU is lost also shows in `state`. Calls are synchronous: tens of microseconds as a rule.
 */
export class Device {
  readonly index: number;
  /** "GPU-…" */
  readonly uuid: string;
  readonly name: string;
  /** "00000000:1B:00.0" */
  readonly busId: string;
  readonly #handle: DeviceHandle;

  /** @throws {NvmlError} if it does not say who it is. */
  constructor(handle: DeviceHandle) {
    this.#handle = handle;
    const index: Out<number> = [0];
    handle.must("nvmlDeviceGetIndex", index);
    this.index = index[0];
    this.uuid = readUuid(handle);
    const name = new Uint8Array(NAME_BYTES);
    handle.must("nvmlDeviceGetName", name, name.length);
    this.name = readText(name);
    const pci: Partial<PciInfo> = {};
    handle.must("nvmlDeviceGetPciInfo_v3", pci);
    this.busId = pci.busId ?? "";
  }

  /** As the last call found it. */
  get state(): DeviceState {
    return this.#handle.state;
  }

  /** The number in its device node's name, /dev/nvidia<number>. */
  minorNumber(): number | undefined {
    return this.#handle.number("nvmlDeviceGetMinorNumber");
  }

  /** Bytes. */
  memory(): Memory | undefined {
    return readMemory(this.#handle);
  }

  /** Processes with a compute context, and the bytes each holds. */
  computeProcesses(): ComputeProcess[] | undefined {
    return readProcesses(this.#handle);
  }

  /** Degrees Celsius. */
  temperature(): number | undefined {
    return readTemperature(this.#handle);
  }

  /** In degrees or as margins, as the GPU states them. */
  temperatureLimits(): TemperatureLimits | undefined {
    return readLimits(this.#handle);
  }

  /** Degrees Celsius until the clocks are lowered; 0 or less: they are. */
  marginToSlowdown(): number | undefined {
    return readMarginToSlowdown(this.#handle);
  }

  /** Milliwatts, of the whole board. */
  powerMilliwatts(): number | undefined {
    return this.#handle.number("nvmlDeviceGetPowerUsage");
  }

  /** Milliwatts: the lowest of all limits that hold. */
  powerLimitMilliwatts(): number | undefined {
    return this.#handle.number("nvmlDeviceGetEnforcedPowerLimit");
  }

  /** MHz, now. */
  clocks(): Clocks {
    return readClocks(this.#handle, "current");
  }

  /** MHz, at most. */
  highestClocks(): Clocks {
    return readClocks(this.#handle, "highest");
  }

  /** What holds the clocks down. */
  clockReasons(): ClockReason[] | undefined {
    return readClockReasons(this.#handle);
  }

  /** ECC errors that could not be corrected, since the driver was loaded; undefined with ECC off. */
  uncorrectedErrors(): number | undefined {
    const count: Out<number> = [0];
    return this.#handle.ask("nvmlDeviceGetTotalEccErrors", UNCORRECTED, SINCE_DRIVER_LOAD, count)
      ? count[0]
      : undefined;
  }

  /** Undefined if this kind of GPU has no MIG. */
  migMode(): MigMode | undefined {
    const current: Out<number> = [0];
    const pending: Out<number> = [0];
    if (!this.#handle.ask("nvmlDeviceGetMigMode", current, pending)) return undefined;
    return { current: current[0] === 1, pending: pending[0] === 1 };
  }

  /**
   * The figures that are watched round after round, or the state of a GPU that is lost: being lost throws nothing here.
   * @throws {NvmlError} for any other failure.
   */
  read(): (Reading & { readonly state: "working" }) | Extract<DeviceState, { state: "lost" }> {
    try {
      return { state: "working", ...this.#reading() };
    } catch (error) {
      const { state } = this;
      if (error instanceof NvmlError && meansLost(error.code) && state.state === "lost") return state;
      throw error;
    }
  }

  #reading(): Reading {
    return {
      memory: this.memory(),
      temperature: this.temperature(),
      marginToSlowdown: this.marginToSlowdown(),
      powerMilliwatts: this.powerMilliwatts(),
      powerLimitMilliwatts: this.powerLimitMilliwatts(),
      clockReasons: this.clockReasons(),
      uncorrectedErrors: this.uncorrectedErrors(),
    };
  }
}

/** @throws {NvmlError} */
export function readUuid(handle: DeviceHandle): string {
  const uuid = new Uint8Array(UUID_BYTES);
  handle.must("nvmlDeviceGetUUID", uuid, uuid.length);
  return readText(uuid);
}
