/** Secret and caBundle in memory, shared by replicas of a test; each has its own way there, which can break. */
import { ConflictError, type SecretStore, type TrustStore, type Versioned } from "../certificates/stores.ts";

/** One object with versions, as the API server keeps it. */
export class Shared<T> {
  #value: T | undefined;
  #version = 0;
  writes = 0;
  /** Told of each write, not of `set`. */
  written: (value: T) => void = () => {};

  constructor(value?: T) {
    this.#value = value;
  }

  get value(): T | undefined {
    return this.#value;
  }

  read(): Versioned<T> | undefined {
    return this.#value === undefined ? undefined : { value: this.#value, version: String(this.#version) };
  }

  write(value: T, version: string | undefined): void {
    const there = this.#value === undefined ? undefined : String(this.#version);
    if (version !== there) throw new ConflictError(`it is ${there}, not ${version}`);
    this.writes += 1;
    this.written(value);
    this.set(value);
  }

  /** As someone else does it. */
  set(value: T | undefined): void {
    this.#version += 1;
    this.#value = value;
  }
}

export class Way<T> {
  readonly #shared: Shared<T>;
  broken = false;
  /** Called between a read and what follows. */
  afterRead: () => void = () => {};

  constructor(shared: Shared<T>) {
    this.#shared = shared;
  }

  async read(): Promise<Versioned<T> | undefined> {
    if (this.broken) throw new Error("unreachable");
    const read = this.#shared.read();
    this.afterRead();
    return read;
  }

  async write(value: T, version: string | undefined): Promise<void> {
    if (this.broken) throw new Error("unreachable");
    this.#shared.write(value, version);
  }
}

export type SecretWay = Way<Readonly<Record<string, string>>> & SecretStore;
export type TrustWay = Way<string> & TrustStore;
