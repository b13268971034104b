/** What a reflector tells about its work: for metrics and logs. */

/**
 * Why a watch ended. `ended`: in order, after its time. `silent`: nothing came for so long that it was given up, which happens
 * to quiet collections too: no error. `broken`: reset or cut off. `expired`: the server no longer has what came since.
 * `malformed`: a line made no sense. `refused`: the server said no. `stopped`: by the signal.
 */
export const watchEnds = ["ended", "silent", "broken", "expired", "malformed", "refused", "stopped"] as const;
export type WatchEnd = (typeof watchEnds)[number];

export interface ReflectorObserver {
  /** A list succeeded. The second and later ones are relists. */
  listed?(objects: number, milliseconds: number): void;
  watchStarted?(resourceVersion: string): void;
  watchEnded?(end: WatchEnd, milliseconds: number): void;
  event?(type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK"): void;
  /** What went wrong; whatever it was, it is tried again. An error of a handler is one of this program. */
  failed(what: "list" | "watch" | "handler", error: unknown): void;
}
