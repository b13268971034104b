/** Objects by key and by what functions say of them, in memory, for as many readers as there are. */

/** "namespace/name", or the name alone of what has no namespace. */
export type Key = string;

/** What an object is found by: any number of values. */
export type IndexFunction<S> = (object: S, key: Key) => readonly string[];

export interface ReadableStore<S, I extends string = string> {
  readonly size: number;
  get(key: Key): S | undefined;
  has(key: Key): boolean;
  keys(): IterableIterator<Key>;
  values(): IterableIterator<S>;
  /** Objects that the index function gave this value; none is an empty array. The cost is that of the answer. */
  by(index: I, value: string): S[];
  keysBy(index: I, value: string): Key[];
  /** Values that some object has. */
  valuesOf(index: I): string[];
}

interface Entry<S> {
  object: S;
  /** Of each index, in the order of `#indexes`. */
  found: readonly (readonly string[])[];
}

interface Index<S> {
  name: string;
  of: IndexFunction<S>;
  keys: Map<string, Set<Key>>;
}

export class Store<S, I extends string = string> implements ReadableStore<S, I> {
  readonly #entries = new Map<Key, Entry<S>>();
  readonly #indexes: readonly Index<S>[];

  constructor(indexes: Readonly<Record<I, IndexFunction<S>>> = {} as Record<I, IndexFunction<S>>) {
    this.#indexes = Object.entries<IndexFunction<S>>(indexes).map(([name, of]) => ({ name, of, keys: new Map() }));
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: Key): S | undefined {
    return this.#entries.get(key)?.object;
  }

  has(key: Key): boolean {
    return this.#entries.has(key);
  }

  keys(): IterableIterator<Key> {
    return this.#entries.keys();
  }

  *values(): IterableIterator<S> {
    for (const { object } of this.#entries.values()) yield object;
  }

  by(index: I, value: string): S[] {
    return this.keysBy(index, value).map((key) => this.get(key) as S);
  }

  keysBy(index: I, value: string): Key[] {
    return [...(this.#index(index).keys.get(value) ?? [])];
  }

  valuesOf(index: I): string[] {
    return [...this.#index(index).keys.keys()];
  }

  /** @returns what was there before. If an index function throws, nothing has changed. */
  set(key: Key, object: S): S | undefined {
    const found = this.#indexes.map(({ of }) => [...new Set(of(object, key))]);
    const before = this.#entries.get(key);
    if (before !== undefined) this.#unlink(key, before);
    this.#entries.set(key, { object, found });
    this.#indexes.forEach(({ keys }, at) => {
      for (const value of found[at] ?? []) {
        const set = keys.get(value);
        if (set === undefined) keys.set(value, new Set([key]));
        else set.add(key);
      }
    });
    return before?.object;
  }

  /** @returns what was there */
  delete(key: Key): S | undefined {
    const before = this.#entries.get(key);
    if (before === undefined) return undefined;
    this.#unlink(key, before);
    this.#entries.delete(key);
    return before.object;
  }

  #unlink(key: Key, { found }: Entry<S>): void {
    this.#indexes.forEach(({ keys }, at) => {
      for (const value of found[at] ?? []) {
        const set = keys.get(value);
        set?.delete(key);
        if (set?.size === 0) keys.delete(value);
      }
    });
  }

  #index(name: I): Index<S> {
    const index = this.#indexes.find((each) => each.name === name);
    if (index === undefined) throw new RangeError(`there is no index ${name}`);
    return index;
  }
}
