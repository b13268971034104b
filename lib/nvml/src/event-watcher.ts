/**
 * Events of GPUs, told on the main loop by a thread that waits for them. The main loop never waits: NVML's wait has no
 * other form than a blocking one.
 */
import { Worker } from "node:worker_threads";
import type { UnwatchedDevice, WatchReport } from "./event-loop.ts";
import type { DeviceEvent } from "./event-set.ts";
import type { ThreadData } from "./event-thread.ts";

/** Called on the main loop; they must not throw. */
export interface WatchHandlers {
  /** In the order in which NVML told them. */
  event(event: DeviceEvent): void;
  /** The GPU answers no more; the others are watched on. */
  lost(device: UnwatchedDevice): void;
  /** Watching ended without `stop`; the sentence says why. A new watcher may be started. */
  failed(sentence: string): void;
}

export interface WatchOptions {
  /** Milliseconds of one wait: how long `stop` takes at most. Events come at once whatever it is. */
  readonly slice?: number | undefined;
  /** Milliseconds that `stop` waits beyond the slice for a driver that does not return. */
  readonly patience?: number | undefined;
  /** The file of the thread's code, where it is not beside this one (in a bundle). */
  readonly thread?: URL | undefined;
}

type Watching = Extract<WatchReport, { kind: "watching" }>;

/** MiB. The thread holds next to nothing; without limits its heap grows as if it were a program. */
const resourceLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 };

const defaultSlice = 500;
const defaultPatience = 5000;

export class EventWatcher {
  /** GPUs whose events are told, by UUID. */
  readonly uuids: readonly string[];
  /** GPUs that do not offer events, or did not answer. */
  readonly unwatched: readonly UnwatchedDevice[];
  readonly #worker: Worker;
  readonly #data: ThreadData;
  readonly #exited: Promise<void>;
  readonly #patience: number;

  private constructor(worker: Worker, data: ThreadData, patience: number, report: Watching) {
    this.#worker = worker;
    this.#data = data;
    this.#exited = exitOf(worker);
    this.#patience = patience;
    this.uuids = report.uuids;
    this.unwatched = report.unwatched;
  }

  /**
   * Resolves when watching has begun: what happens from then on is told. Several watchers do not disturb each other.
   * @throws {Error} if it cannot begin; the message says why.
   */
  static start(library: string, handlers: WatchHandlers, options: WatchOptions = {}): Promise<EventWatcher> {
    const { slice = defaultSlice, patience = defaultPatience, thread = threadFile() } = options;
    const data: ThreadData = { library, slice, stop: new Int32Array(new SharedArrayBuffer(4)) };
    const worker = new Worker(thread, { workerData: data, name: "nvml-events", resourceLimits });
    return new Promise((resolve, reject) => {
      let failure: string | undefined;
      let begun = false;
      const fail = (sentence: string): void => {
        if (begun) handlers.failed(sentence);
        else reject(new Error(`GPU events cannot be watched: ${sentence}`));
      };
      worker.on("message", (report: WatchReport) => {
        if (report.kind === "watching") {
          begun = true;
          resolve(new EventWatcher(worker, data, patience, report));
        } else if (report.kind === "event") handlers.event(report.event);
        else if (report.kind === "lost") handlers.lost(report.device);
        else failure = report.failure;
      });
      worker.on("error", (error) => {
        failure = error instanceof Error ? error.message : String(error);
      });
      worker.on("exit", (code) => {
        if (Atomics.load(data.stop, 0) === 0) fail(failure ?? `the watching thread ended with code ${code}`);
      });
    });
  }

  /**
   * Ends watching: no handler is called after it resolved. Calling it again is allowed.
   * @returns "stuck" if the driver did not return in time: the thread then ends when it does, and no longer keeps the
   * process alive.
   */
  async stop(): Promise<"ended" | "stuck"> {
    Atomics.store(this.#data.stop, 0, 1);
    Atomics.notify(this.#data.stop, 0);
    const { promise: late, resolve } = Promise.withResolvers<"stuck">();
    const timer = setTimeout(() => resolve("stuck"), this.#data.slice + this.#patience);
    const result = await Promise.race([this.#exited.then(() => "ended" as const), late]);
    clearTimeout(timer);
    if (result === "stuck") {
      this.#worker.removeAllListeners("message");
      this.#worker.unref();
    }
    return result;
  }
}

function exitOf(worker: Worker): Promise<void> {
  return new Promise((resolve) => worker.once("exit", () => resolve()));
}

/** Beside this file, with its ending: sources run as they are. */
function threadFile(): URL {
  return new URL(import.meta.url.endsWith(".ts") ? "./event-thread.ts" : "./event-thread.js", import.meta.url);
}
