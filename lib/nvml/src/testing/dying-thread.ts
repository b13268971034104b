/** A watching thread that begins and then dies. */
import { parentPort } from "node:worker_threads";

parentPort?.postMessage({ kind: "watching", uuids: [], unwatched: [] });
setTimeout(() => {
  throw new Error("dies for a test");
}, 20);
