/**
 * Events of GPUs, told on the main loop, which never waits: NVML's wait, which has no other form than a blocking one, is in a
 * thread of Node's pool.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Calls, loadCalls } from "./calls.ts";
import { type UnwatchedDevice, type WatchReport, watchLoop } from "./event-loop.ts";
import type { DeviceEvent } from "./event-set.ts";

/** They must not throw. */
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
  /** How the library is loaded; throws if it cannot be. */
  readonly load?: ((library: string) => Calls) | undefined;
}

type Watching = Extract<WatchReport, { kind: "watching" }>;

const defaultSlice = 500;
const defaultPatience = 5000;

export class EventWatcher {
  /** GPUs whose events are told, by UUID. */
  readonly uuids: readonly string[];
  /** GPUs that do not offer events, or did not answer. */
  readonly unwatched: readonly UnwatchedDevice[];
  readonly #run: Run;
  /** Milliseconds that `stop` waits. */
  #patience: number;

  private constructor(run: Run, patience: number, report: Watching) {
    this.#run = run;
    this.#patience = patience;
    this.uuids = report.uuids;
    this.unwatched = report.unwatched;
  }

  /**
   * Resolves when watching has begun: what happens from then on is told. Several watchers do not disturb each other; each keeps a
   * thread of the pool, which has four.
   * @throws {Error} if it cannot begin; the message says why.
   */
  static start(library: string, handlers: WatchHandlers, options: WatchOptions = {}): Promise<EventWatcher> {
    const { slice = defaultSlice, patience = defaultPatience, load = loadCalls } = options;
    return new Promise((resolve, reject) => {
      let begun = false;
      const fail = (sentence: string): void => {
        if (begun) handlers.failed(sentence);
        else reject(new Error(`GPU events cannot be watched: ${sentence}`));
      };
      const run: Run = { stopped: false, ended: Promise.resolve() };
      const report = (told: WatchReport): void => {
        if (told.kind === "watching") {
          begun = true;
          resolve(new EventWatcher(run, slice + patience, told));
        } else if (run.stopped) return;
        else if (told.kind === "event") handlers.event(told.event);
        else if (told.kind === "lost") handlers.lost(told.device);
        else fail(told.failure ?? "it ended");
      };
      const stopped = (): boolean => run.stopped;
      try {
        run.ended = watchLoop({ calls: load(library), report, stopped, pause: sleep, now: Date.now, slice });
      } catch (error) {
        fail(error instanceof Error ? error.message : String(error));
      }
    });
  }

  /**
   * Ends watching: no handler is called from now on. Calling it again is allowed, and after "stuck" does not wait.
   * @returns "stuck" if the driver did not return in time: the thread it is in has nobody else until it does.
   */
  async stop(): Promise<"ended" | "stuck"> {
    this.#run.stopped = true;
    const timer = new AbortController();
    const late = sleep(this.#patience, "stuck" as const, { signal: timer.signal }).catch(() => "stuck" as const);
    const result = await Promise.race([this.#run.ended.then(() => "ended" as const), late]);
    timer.abort();
    if (result === "stuck") this.#patience = 0;
    return result;
  }
}

/** A loop that runs. */
interface Run {
  stopped: boolean;
  ended: Promise<void>;
}
