/**
 * Keeps a store equal to a collection on the API server, and tells handlers of each change: lists, then watches, and goes on
 * from where it was after whatever happens to the connection or the server. The last state stays readable meanwhile.
 *
 *   const reflector = new Reflector<Pod, Row, "node">({
 *     client, resource: podResource, project: rowOf, indexes: { node: ({ node }) => [node] }, observer,
 *   });
 *   reflector.subscribe({ onAdd: (_, key) => queue.add(key), onDelete: (_, key) => queue.add(key) });
 *   const running = reflector.run(signal);
 *   await reflector.synced;
 *   reflector.store.by("node", "node-1");
 *
 * Not @kubernetes/client-node's informer: that one stops for good when a connection is reset.
 */
import { Backoff, type BackoffOptions } from "./backoff.ts";
import type { Client } from "./client.ts";
import { type Clock, systemClock } from "./clock.ts";
import { Deltas, type Handlers, type Kept, keyOf } from "./deltas.ts";
import { hasCode, isTransient } from "./errors.ts";
import { list, placeOf, type Selection, selectorsOf } from "./list.ts";
import type { ReflectorObserver, WatchEnd } from "./reflector-observer.ts";
import { type KubeObject, pathOf } from "./resource.ts";
import { retryAfterOf } from "./retry.ts";
import { type IndexFunction, type ReadableStore, Store } from "./store.ts";
import { MalformedWatchError, SilentWatchError, type WatchEvent, watchEvents } from "./watch-stream.ts";

export interface ReflectorOptions<T extends KubeObject, S, I extends string> extends Selection {
  client: Client;
  observer: ReflectorObserver;
  /** What is kept of an object: memory holds these alone. Must not throw. The object itself if left out. */
  project?: (object: T) => S;
  /** Must not throw. */
  indexes?: Readonly<Record<I, IndexFunction<S>>>;
  clock?: Clock;
  random?: () => number;
  /** Objects per request of a list. */
  pageSize?: number;
  /** Seconds that a watch is asked for: at random from this to twice this, so that many do not end together. */
  watchSeconds?: number;
  /**
   * Milliseconds without a byte after which a watch is begun anew from where it was. That is for servers and proxies that hang: a
   * host that is gone is noticed within about 11 s by the probes of TCP. Quiet collections cost a request each time.
   */
  inactivity?: number;
  /** Between tries that fail; starts anew after a watch that lived for `healthyAfter` milliseconds. */
  backoff?: Omit<BackoffOptions, "random">;
  healthyAfter?: number;
}

interface End {
  end: WatchEnd;
  error?: unknown;
}

export class Reflector<T extends KubeObject, S = T, I extends string = never> {
  readonly store: ReadableStore<S, I>;
  /** When the store has had everything for the first time and handlers have heard of it. Rejects if stopped before. */
  readonly synced: Promise<void>;
  readonly #options: ReflectorOptions<T, S, I>;
  readonly #project: (object: T) => S;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #backoff: Backoff;
  readonly #deltas: Deltas<S>;
  readonly #synced = Promise.withResolvers<void>();
  #version = "";
  #started = false;

  constructor(options: ReflectorOptions<T, S, I>) {
    const { clock = systemClock, random = Math.random, observer, indexes, project } = options;
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#backoff = new Backoff({ first: 500, ...options.backoff, random });
    this.#project = project ?? ((object) => object as unknown as S);
    const store = new Store<S, I>(indexes);
    this.#deltas = new Deltas<S>(store, (error) => observer.failed("handler", error));
    this.store = store;
    this.synced = this.#synced.promise;
    this.synced.catch(() => {}); // who does not wait for it need not handle it
  }

  /** Of the last thing that was heard. */
  get resourceVersion(): string {
    return this.#version;
  }

  /**
   * Handlers hear first of what is there already, as added, then of each change: none is missed and none told twice. Of several
   * changes during a gap the last one is told.
   * @returns ends it
   */
  subscribe(handlers: Handlers<S>): () => void {
    return this.#deltas.subscribe(handlers);
  }

  /** Works until `signal` aborts; never rejects for what the server does. Once per reflector. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#started) throw new Error("a reflector runs once");
    this.#started = true;
    try {
      while (!signal.aborted) {
        if (await this.#list(signal)) await this.#follow(signal);
      }
    } finally {
      this.#synced.reject(new Error("stopped before the first list was complete"));
    }
  }

  /** @returns whether it succeeded; waits after a failure */
  async #list(signal: AbortSignal): Promise<boolean> {
    const { client, observer } = this.#options;
    const start = this.#clock.monotonic();
    try {
      const { items, resourceVersion } = await list<T, Kept<S>>(client, { ...this.#options, signal }, (object) =>
        this.#keep(object),
      );
      if (signal.aborted) return false;
      this.#version = resourceVersion;
      this.#deltas.replace(items);
      observer.listed?.(items.length, this.#clock.monotonic() - start);
      this.#synced.resolve();
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      observer.failed("list", error);
      await this.#pause(signal, error);
      return false;
    }
  }

  /** Watches again and again, until there is a need to list. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { observer, healthyAfter = 30_000 } = this.#options;
    for (;;) {
      const start = this.#clock.monotonic();
      const { end, error } = await this.#watch(signal);
      const lived = this.#clock.monotonic() - start;
      observer.watchEnded?.(end, lived);
      if (end === "stopped") return;
      const quiet = end === "ended" || end === "silent";
      if (!quiet) observer.failed("watch", error);
      if (lived >= healthyAfter) this.#backoff.reset();
      // A watch that ends in order and at once, each time, is no order.
      if (!quiet || (end === "ended" && lived < 1000)) await this.#pause(signal, error);
      if (end === "expired" || end === "malformed" || end === "refused" || signal.aborted) return;
    }
  }

  async #watch(signal: AbortSignal): Promise<End> {
    const { client, observer, resource, inactivity = 90_000 } = this.#options;
    try {
      const response = await client.open({
        method: "GET",
        path: pathOf(resource, placeOf(this.#options)),
        query: {
          ...selectorsOf(this.#options),
          watch: true,
          allowWatchBookmarks: true,
          resourceVersion: this.#version,
          timeoutSeconds: this.#watchSeconds(),
        },
        signal,
      });
      observer.watchStarted?.(this.#version);
      for await (const event of watchEvents<T>(response, inactivity)) {
        if (signal.aborted) break;
        this.#take(event);
      }
      return { end: signal.aborted ? "stopped" : "ended" };
    } catch (error) {
      return signal.aborted ? { end: "stopped" } : { end: endOf(error), error };
    }
  }

  #take({ type, object }: WatchEvent<T>): void {
    if (type === "DELETED") this.#deltas.remove(keyOf(object), this.#project(object));
    else if (type !== "BOOKMARK") this.#deltas.put(this.#keep(object));
    this.#version = object.metadata?.resourceVersion ?? this.#version;
    this.#options.observer.event?.(type);
  }

  #keep(object: T): Kept<S> {
    const { uid, resourceVersion } = object.metadata ?? {};
    return { key: keyOf(object), uid, version: resourceVersion, object: this.#project(object) };
  }

  #watchSeconds(): number {
    const { watchSeconds = 300 } = this.#options;
    return Math.ceil(watchSeconds * (1 + this.#random()));
  }

  async #pause(signal: AbortSignal, error: unknown): Promise<void> {
    await this.#clock.sleep(this.#backoff.next(retryAfterOf(error)), signal);
  }
}

/** What to do about it: only a broken watch is resumed from where it was. */
function endOf(error: unknown): WatchEnd {
  if (error instanceof SilentWatchError) return "silent";
  if (error instanceof MalformedWatchError) return "malformed";
  if (hasCode(error, 410)) return "expired";
  return isTransient(error) ? "broken" : "refused";
}
