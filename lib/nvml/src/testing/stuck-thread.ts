/** A watching thread that does not come back, as from a driver that hangs. */
import { parentPort } from "node:worker_threads";

parentPort?.postMessage({ kind: "watching", uuids: [], unwatched: [] });
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
