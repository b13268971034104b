/**
 * Watching: waits in slices, reports, and looks between slices whether it shall end. Only the waits are in another thread, by the
 * pool: a thread with an engine of its own would take 15 MiB, for a loop that does next to nothing.
 */
import type { Calls } from "./calls.ts";
import { errorCode, errorMeaning, NVML_SUCCESS, NvmlError, type NvmlErrorName } from "./errors.ts";
import { type DeviceEvent, EventSet, findDevices, type WatchedDevice } from "./event-set.ts";
import { meansLost } from "./handle.ts";

/** A GPU whose events do not come, or no longer. */
export interface UnwatchedDevice {
  /** Undefined for a GPU that did not even say who it is. */
  readonly uuid: string | undefined;
  readonly error: NvmlErrorName;
  readonly sentence: string;
}

/** What is told; `watching` once and first, `ended` once and last. */
export type WatchReport =
  | { readonly kind: "watching"; readonly uuids: string[]; readonly unwatched: UnwatchedDevice[] }
  | { readonly kind: "event"; readonly event: DeviceEvent }
  | { readonly kind: "lost"; readonly device: UnwatchedDevice }
  | { readonly kind: "ended"; readonly failure: string | undefined };

export interface LoopOptions {
  readonly calls: Calls;
  readonly report: (report: WatchReport) => void;
  readonly stopped: () => boolean;
  /** Resolves after so many milliseconds. */
  readonly pause: (milliseconds: number) => Promise<void>;
  readonly now: () => number;
  /** Milliseconds: how long ending may take. */
  readonly slice: number;
}

/** Runs until `stopped`, or until there is nothing to watch; every way out is reported. Never rejects. */
export async function watchLoop(options: LoopOptions): Promise<void> {
  const { calls, report } = options;
  const code = calls.nvmlInit_v2();
  if (code !== NVML_SUCCESS) {
    report({ kind: "ended", failure: new NvmlError("nvmlInit_v2", code).message });
    return;
  }
  let failure: string | undefined;
  try {
    failure = await watchDevices(options);
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  }
  calls.nvmlShutdown();
  report({ kind: "ended", failure });
}

/** @returns why it cannot go on, undefined if it was stopped. */
async function watchDevices(options: LoopOptions): Promise<string | undefined> {
  const { found, unreachable } = findDevices(options.calls);
  const { set, refused } = makeSet(options.calls, found);
  const unwatched = [...unreachable.map((error) => unwatchedDevice(undefined, error)), ...refused];
  options.report({ kind: "watching", uuids: set.devices.map(({ uuid }) => uuid), unwatched });
  return watchSet(options, set);
}

async function watchSet(options: LoopOptions, first: EventSet): Promise<string | undefined> {
  let set = first;
  try {
    while (!options.stopped()) {
      if (set.devices.length === 0) return "no GPU is left whose events can be watched";
      const { code, event } = await set.wait(options.slice, options.now);
      if (event !== undefined) options.report({ kind: "event", event });
      if (meansLost(code)) set = await withoutLost(options, set);
      else if (code !== NVML_SUCCESS && code !== errorCode("NVML_ERROR_TIMEOUT")) {
        return new NvmlError("nvmlEventSetWait_v2", code).message;
      }
    }
    return undefined;
  } finally {
    set.free();
  }
}

/** A set with a lost GPU in it answers at once, always the same: the others need one without it. */
async function withoutLost({ calls, report, pause, slice }: LoopOptions, set: EventSet): Promise<EventSet> {
  const lost = set.lost();
  if (lost.length === 0) {
    await pause(slice);
    return set;
  }
  for (const { device, code } of lost) {
    report({ kind: "lost", device: unwatchedDevice(device.uuid, new NvmlError("nvmlDeviceGetPowerUsage", code)) });
  }
  const gone = new Set(lost.map(({ device }) => device));
  const next = makeSet(
    calls,
    set.devices.filter((device) => !gone.has(device)),
  );
  for (const device of next.refused) report({ kind: "lost", device });
  set.free();
  return next.set;
}

function makeSet(calls: Calls, devices: WatchedDevice[]): { set: EventSet; refused: UnwatchedDevice[] } {
  const set = new EventSet(calls);
  const refused: UnwatchedDevice[] = [];
  for (const device of devices) {
    try {
      set.add(device);
    } catch (error) {
      if (!(error instanceof NvmlError)) throw error;
      refused.push(unwatchedDevice(device.uuid, error));
    }
  }
  return { set, refused };
}

function unwatchedDevice(uuid: string | undefined, { error, call }: NvmlError): UnwatchedDevice {
  return { uuid, error, sentence: `its events cannot be watched: ${errorMeaning(error)} (${call}: ${error})` };
}
