/** The watching thread's entry. It loads NVML for itself and holds no handle of another thread. */
import { parentPort, workerData } from "node:worker_threads";
import { loadCalls } from "./calls.ts";
import { type WatchReport, watchLoop } from "./event-loop.ts";

/** What the thread is started with. `stop[0]` becomes 1 when it shall end. */
export interface ThreadData {
  readonly library: string;
  readonly slice: number;
  readonly stop: Int32Array<SharedArrayBuffer>;
}

const { library, slice, stop } = workerData as ThreadData;
const report = (message: WatchReport): void => parentPort?.postMessage(message);

watchLoop({
  calls: loadCalls(library),
  report,
  stopped: () => Atomics.load(stop, 0) !== 0,
  pause: (milliseconds) => {
    Atomics.wait(stop, 0, 0, milliseconds);
  },
  now: Date.now,
  slice,
});
