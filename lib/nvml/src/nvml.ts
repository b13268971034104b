/** NVML, started: the way to a node's GPUs. */
import type { Calls, Out, Pointer } from "./calls.ts";
import { Device } from "./device.ts";
import { errorCode, NVML_SUCCESS, NvmlError } from "./errors.ts";
import { EventWatcher, type WatchHandlers, type WatchOptions } from "./event-watcher.ts";
import { DeviceHandle, readText } from "./handle.ts";
import { VERSION_BYTES } from "./layout.ts";

/** A GPU that the driver counts but that does not answer. */
export interface UnreachableDevice {
  readonly index: number;
  readonly error: NvmlError;
}

export class Nvml implements Disposable {
  readonly #calls: Calls;
  readonly #library: string;
  #open = true;

  /**
   * Starts NVML; every start needs its `close`. `openNvml` is the usual way in. `library` is what watching loads again
   * in a thread of its own.
   * @throws {NvmlError}
   */
  constructor(calls: Calls, library: string) {
    this.#calls = calls;
    this.#library = library;
    check("nvmlInit_v2", calls.nvmlInit_v2());
  }

  /** As "580.159.04". @throws {NvmlError} */
  driverVersion(): string {
    return this.#text("nvmlSystemGetDriverVersion");
  }

  /** As "13.580.159.04". @throws {NvmlError} */
  nvmlVersion(): string {
    return this.#text("nvmlSystemGetNVMLVersion");
  }

  /** GPUs that this process may use. @throws {NvmlError} */
  deviceCount(): number {
    const count: Out<number> = [0];
    this.#must("nvmlDeviceGetCount_v2", (calls) => calls.nvmlDeviceGetCount_v2(count));
    return count[0];
  }

  /** @throws {NvmlError} NVML_ERROR_INVALID_ARGUMENT if there is none, NVML_ERROR_GPU_IS_LOST. */
  deviceByIndex(index: number): Device {
    return new Device(this.#find("nvmlDeviceGetHandleByIndex_v2", index));
  }

  /** @throws {NvmlError} NVML_ERROR_NOT_FOUND if there is none, NVML_ERROR_GPU_IS_LOST. */
  deviceByUuid(uuid: string): Device {
    return new Device(this.#find("nvmlDeviceGetHandleByUUID", uuid));
  }

  /** All GPUs by index. One that does not answer hides none of the others. @throws {NvmlError} if none can be counted. */
  devices(): { readonly devices: Device[]; readonly unreachable: UnreachableDevice[] } {
    const devices: Device[] = [];
    const unreachable: UnreachableDevice[] = [];
    const count = this.deviceCount();
    for (let index = 0; index < count; ++index) {
      try {
        devices.push(this.deviceByIndex(index));
      } catch (error) {
        if (!(error instanceof NvmlError)) throw error;
        unreachable.push({ index, error });
      }
    }
    return { devices, unreachable };
  }

  /**
   * Tells of XIDs and uncorrected ECC errors as they happen, with an NVML of its own, while the main loop stays free: it goes
   * on when this one is closed, until it is stopped. As `EventWatcher.start`.
   */
  watchEvents(handlers: WatchHandlers, options: WatchOptions = {}): Promise<EventWatcher> {
    return EventWatcher.start(this.#library, handlers, options);
  }

  /** Ends NVML. Its devices answer NVML_ERROR_UNINITIALIZED from here on. Calling it again does nothing. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#calls.nvmlShutdown();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #find(name: "nvmlDeviceGetHandleByIndex_v2", key: number): DeviceHandle;
  #find(name: "nvmlDeviceGetHandleByUUID", key: string): DeviceHandle;
  #find(name: keyof Calls, key: number | string): DeviceHandle {
    const out: Out<Pointer | null> = [null];
    this.#must(name, (calls) => (calls[name] as (key: number | string, out: Out<Pointer | null>) => number)(key, out));
    return new DeviceHandle(this.#calls, out[0] ?? 0n, () => this.#open);
  }

  #text(name: "nvmlSystemGetDriverVersion" | "nvmlSystemGetNVMLVersion"): string {
    const bytes = new Uint8Array(VERSION_BYTES);
    this.#must(name, (calls) => calls[name](bytes, bytes.length));
    return readText(bytes);
  }

  #must(name: keyof Calls, call: (calls: Calls) => number): void {
    check(name, this.#open ? call(this.#calls) : errorCode("NVML_ERROR_UNINITIALIZED"));
  }
}

function check(name: keyof Calls, code: number): void {
  if (code !== NVML_SUCCESS) throw new NvmlError(name, code);
}
