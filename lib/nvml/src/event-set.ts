/** A set of events to wait for, and the GPUs they come from. */
import type { Calls, Out, Pointer } from "./calls.ts";
import { readUuid } from "./device.ts";
import { errorCode, NVML_SUCCESS, NvmlError } from "./errors.ts";
import { DeviceHandle, meansLost } from "./handle.ts";
import { EVENT, type EventData, NO_INSTANCE } from "./layout.ts";

/** Something that happened to a GPU. */
export interface DeviceEvent {
  readonly uuid: string;
  readonly kind: "xid" | "double-bit-ecc";
  /** The XID; 0 for ECC errors. */
  readonly xid: number;
  /** The MIG instance it happened in; undefined without MIG. */
  readonly gpuInstance: number | undefined;
  /** Milliseconds since 1970, when it was read. */
  readonly at: number;
}

/** A GPU as watching knows it. */
export interface WatchedDevice {
  readonly uuid: string;
  readonly pointer: Pointer;
  readonly handle: DeviceHandle;
}

/** @returns the GPUs that answer, and the codes of those that do not. */
export function findDevices(calls: Calls): { found: WatchedDevice[]; unreachable: NvmlError[] } {
  const count: Out<number> = [0];
  const code = calls.nvmlDeviceGetCount_v2(count);
  if (code !== NVML_SUCCESS) throw new NvmlError("nvmlDeviceGetCount_v2", code);
  const found: WatchedDevice[] = [];
  const unreachable: NvmlError[] = [];
  for (let index = 0; index < count[0]; ++index) {
    try {
      found.push(findDevice(calls, index));
    } catch (error) {
      if (!(error instanceof NvmlError)) throw error;
      unreachable.push(error);
    }
  }
  return { found, unreachable };
}

function findDevice(calls: Calls, index: number): WatchedDevice {
  const out: Out<Pointer | null> = [null];
  const code = calls.nvmlDeviceGetHandleByIndex_v2(index, out);
  if (code !== NVML_SUCCESS) throw new NvmlError("nvmlDeviceGetHandleByIndex_v2", code);
  const pointer = out[0] ?? 0n;
  const handle = new DeviceHandle(calls, pointer, () => true);
  return { uuid: readUuid(handle), pointer, handle };
}

/** NVML's event set. One wait at a time. */
export class EventSet {
  readonly #calls: Calls;
  readonly #set: Pointer;
  readonly #devices = new Map<Pointer, WatchedDevice>();

  /** @throws {NvmlError} */
  constructor(calls: Calls) {
    this.#calls = calls;
    const out: Out<Pointer | null> = [null];
    const code = calls.nvmlEventSetCreate(out);
    if (code !== NVML_SUCCESS || out[0] === null) throw new NvmlError("nvmlEventSetCreate", code);
    this.#set = out[0];
  }

  get devices(): WatchedDevice[] {
    return [...this.#devices.values()];
  }

  /**
   * From here on the GPU's events count; those of before do not. Asks for what the GPU supports.
   * @throws {NvmlError} NVML_ERROR_NOT_SUPPORTED if that is nothing.
   */
  add(device: WatchedDevice): void {
    const supported: Out<number> = [0];
    device.handle.must("nvmlDeviceGetSupportedEventTypes", supported);
    const wanted = supported[0] & (EVENT.xid | EVENT.doubleBitEcc);
    if (wanted === 0) throw new NvmlError("nvmlDeviceGetSupportedEventTypes", errorCode("NVML_ERROR_NOT_SUPPORTED"));
    device.handle.must("nvmlDeviceRegisterEvents", wanted, this.#set);
    this.#devices.set(device.pointer, device);
  }

  /**
   * Resolves when something happens or the time is over.
   * @returns NVML's code, and with NVML_SUCCESS the event; undefined if it is of no kind and no GPU that was asked for.
   */
  async wait(milliseconds: number, now: () => number): Promise<{ code: number; event?: DeviceEvent | undefined }> {
    const data: Partial<EventData> = {};
    const code = await this.#calls.nvmlEventSetWait_v2(this.#set, data, milliseconds);
    return code === NVML_SUCCESS ? { code, event: this.#decode(data as EventData, now()) } : { code };
  }

  /** GPUs of the set that say themselves that they are lost. */
  lost(): { device: WatchedDevice; code: number }[] {
    const lost: { device: WatchedDevice; code: number }[] = [];
    for (const device of this.#devices.values()) {
      const code = device.handle.code("nvmlDeviceGetPowerUsage", [0]);
      if (meansLost(code)) lost.push({ device, code });
    }
    return lost;
  }

  /** Not while a wait is under way. */
  free(): void {
    this.#calls.nvmlEventSetFree(this.#set);
  }

  #decode(data: EventData, at: number): DeviceEvent | undefined {
    const device = data.device === null ? undefined : this.#devices.get(data.device);
    const kind = kindOf(data.eventType);
    if (device === undefined || kind === undefined) return undefined;
    return {
      uuid: device.uuid,
      kind,
      xid: kind === "xid" ? data.eventData : 0,
      gpuInstance: data.gpuInstanceId === NO_INSTANCE ? undefined : data.gpuInstanceId,
      at,
    };
  }
}

function kindOf(type: number): DeviceEvent["kind"] | undefined {
  if (type & EVENT.xid) return "xid";
  if (type & EVENT.doubleBitEcc) return "double-bit-ecc";
  return undefined;
}
