/**
 * The events of one watch, as they come in. How it ends says what to do: it returns when the server ended it in order, throws
 * UnreachableError when the connection broke or fell silent (to be resumed), MalformedWatchError when what came makes no sense,
 * and ApiError for what the server said in an ERROR event.
 */
import type { IncomingMessage } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { ApiError, type Status, UnreachableError } from "./errors.ts";
import { LineSplitter } from "./line-splitter.ts";
import type { KubeObject } from "./resource.ts";

export interface WatchEvent<T extends KubeObject> {
  type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  /** Of a bookmark: nothing but the resource version. */
  object: T;
}

/** Nothing came for too long. Either the connection is dead though nobody closed it, or there was nothing to tell. */
export class SilentWatchError extends UnreachableError {
  override name = "SilentWatchError";
}

/** A line that is no event. What it was to say is lost, so the state must be listed anew. */
export class MalformedWatchError extends Error {
  override name = "MalformedWatchError";
}

/** An object may have 1.5 MiB in etcd; JSON's escapes make at most six times as much of it. */
const mostLine = 16 << 20;

/**
 * @param inactivity milliseconds without a byte after which the watch is given up. A server sends a bookmark each minute, but only
 * once it has seen a change of the collection or been told by etcd that there was none, which may take ten minutes.
 */
export async function* watchEvents<T extends KubeObject>(
  response: IncomingMessage,
  inactivity: number,
): AsyncGenerator<WatchEvent<T>, void> {
  const what = "watch";
  const splitter = new LineSplitter(mostLine);
  response.setTimeout(0); // that of the request, which was for the beginning of the answer
  const watchdog = new Watchdog(response, inactivity);
  try {
    for await (const chunk of response) {
      watchdog.touch();
      for (const line of split(splitter, chunk as Buffer)) yield parse<T>(line);
    }
  } catch (error) {
    if (error instanceof ApiError || error instanceof MalformedWatchError) throw error;
    if (error instanceof SilentWatchError) throw error;
    throw new UnreachableError(`${what}: the answer broke off: ${(error as Error).message}`, { cause: error });
  } finally {
    watchdog.stop();
    response.destroy();
  }
  if (splitter.pending > 0) throw new UnreachableError(`${what}: the answer broke off in the middle of a line`);
}

function split(splitter: LineSplitter, chunk: Buffer): string[] {
  try {
    return splitter.push(chunk);
  } catch (error) {
    throw new MalformedWatchError((error as Error).message);
  }
}

function parse<T extends KubeObject>(line: string): WatchEvent<T> {
  let event: { type?: unknown; object?: unknown } | null;
  try {
    event = JSON.parse(line);
  } catch {
    throw new MalformedWatchError(`not JSON: ${line.slice(0, 100)}`);
  }
  const { type, object } = event ?? {};
  if (typeof object !== "object" || object === null) throw new MalformedWatchError(`no event: ${line.slice(0, 100)}`);
  if (type === "ERROR") {
    const status = object as Status & { code?: number };
    const seconds = status.details?.retryAfterSeconds;
    throw new ApiError("watch", status.code ?? 500, status, seconds === undefined ? undefined : seconds * 1000);
  }
  const known = type === "ADDED" || type === "MODIFIED" || type === "DELETED" || type === "BOOKMARK";
  const version = (object as KubeObject).metadata?.resourceVersion;
  if (!known || typeof version !== "string" || version === "") {
    throw new MalformedWatchError(`no event: ${line.slice(0, 100)}`);
  }
  return { type, object: object as T };
}

/** Ends a stream that says nothing. */
class Watchdog {
  readonly #response: IncomingMessage;
  readonly #timer: NodeJS.Timeout;
  #touched = false;
  #stopped = false;

  constructor(response: IncomingMessage, milliseconds: number) {
    this.#response = response;
    this.#timer = setTimeout(() => void this.#bite(milliseconds), milliseconds);
  }

  touch(): void {
    this.#touched = true;
    this.#timer.refresh();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** If this program stood still itself, bytes may wait that it has not looked for yet: it looks first. */
  async #bite(milliseconds: number): Promise<void> {
    this.#touched = false;
    await nextTurn();
    await nextTurn();
    if (this.#touched || this.#stopped) return;
    this.#response.destroy(new SilentWatchError(`watch: silent for ${milliseconds} ms`));
  }
}
