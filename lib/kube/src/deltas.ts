/**
 * What lists and watches say, as changes of a store and calls of handlers: each change once, in order, with the store already
 * changed when handlers hear of it. What is known already changes nothing.
 */
import type { KubeObject } from "./resource.ts";
import type { Key, Store } from "./store.ts";

/** Called in turn, not waited for: they note what is to be done (in a work queue) and return. */
export interface Handlers<S> {
  onAdd?(object: S, key: Key): void;
  onUpdate?(before: S, now: S, key: Key): void;
  /** @param missed the end was not seen, only that the object is gone: it may have changed after `last` */
  onDelete?(last: S, key: Key, missed: boolean): void;
}

/** One object as it is kept. */
export interface Kept<S> {
  key: Key;
  uid: string | undefined;
  version: string | undefined;
  object: S;
}

type Call<S> = (handlers: Handlers<S>) => void;

export class Deltas<S> {
  readonly #store: Store<S>;
  readonly #failed: (error: unknown) => void;
  readonly #identities = new Map<Key, { uid: string | undefined; version: string | undefined }>();
  /** In boxes, so that the same handlers may be there twice. */
  readonly #subscribed = new Set<{ readonly handlers: Handlers<S> }>();

  /** @param failed told what a handler throws; the other handlers are called all the same */
  constructor(store: Store<S>, failed: (error: unknown) => void) {
    this.#store = store;
    this.#failed = failed;
  }

  /** The handlers hear of what is there already as added. @returns ends it */
  subscribe(handlers: Handlers<S>): () => void {
    for (const key of [...this.#store.keys()]) {
      const object = this.#store.get(key) as S;
      this.#call(handlers, (each) => each.onAdd?.(object, key));
    }
    const box = { handlers };
    this.#subscribed.add(box);
    return () => void this.#subscribed.delete(box);
  }

  /** An object was added or changed. */
  put(kept: Kept<S>): void {
    this.#tell(this.#put(kept));
  }

  /** An object was deleted. @param last as the deletion told it */
  remove(key: Key, last: S): void {
    if (this.#drop(key) !== undefined) this.#tell([(each) => each.onDelete?.(last, key, false)]);
  }

  /** These are all: what else there was has gone meanwhile. */
  replace(all: readonly Kept<S>[]): void {
    const present = new Set(all.map(({ key }) => key));
    const gone = [...this.#store.keys()].filter((key) => !present.has(key));
    const calls = gone.map((key): Call<S> => {
      const last = this.#drop(key) as S;
      return (each) => each.onDelete?.(last, key, true);
    });
    for (const kept of all) calls.push(...this.#put(kept));
    this.#tell(calls);
  }

  #put({ key, uid, version, object }: Kept<S>): Call<S>[] {
    const known = this.#identities.get(key);
    if (known === undefined) {
      this.#keep(key, uid, version, object);
      return [(each) => each.onAdd?.(object, key)];
    }
    if (known.uid === uid && known.version !== undefined && known.version === version) return [];
    const before = this.#keep(key, uid, version, object) as S;
    if (known.uid === uid) return [(each) => each.onUpdate?.(before, object, key)];
    // Another object of the same name: the first one went unseen.
    return [(each) => each.onDelete?.(before, key, true), (each) => each.onAdd?.(object, key)];
  }

  #keep(key: Key, uid: string | undefined, version: string | undefined, object: S): S | undefined {
    const before = this.#store.set(key, object);
    this.#identities.set(key, { uid, version });
    return before;
  }

  #drop(key: Key): S | undefined {
    this.#identities.delete(key);
    return this.#store.delete(key);
  }

  #tell(calls: readonly Call<S>[]): void {
    const boxes = [...this.#subscribed]; // who comes now has heard of the new state already
    for (const call of calls) {
      for (const box of boxes) if (this.#subscribed.has(box)) this.#call(box.handlers, call);
    }
  }

  #call(handlers: Handlers<S>, call: Call<S>): void {
    try {
      call(handlers);
    } catch (error) {
      this.#failed(error);
    }
  }
}

export function keyOf({ metadata }: KubeObject): Key {
  const { namespace, name = "" } = metadata ?? {};
  return namespace === undefined ? name : `${namespace}/${name}`;
}
