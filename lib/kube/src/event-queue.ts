/**
 * Events that wait for delivery: one entry per series, in the order of their first waiting event, so that a thousand equal events
 * take the room of one. Holds a bounded number of series.
 */
import { type EventInput, type Mark, seriesKey } from "./event-objects.ts";

/** `refused`: the API server will never take it (its namespace is gone, a policy forbids it). */
export type Outcome = "delivered" | "refused";

export interface Occurrence {
  time: number;
  mark: Mark | undefined;
  settled: ((outcome: Outcome) => void) | undefined;
}

export interface Waiting {
  readonly key: string;
  /** The latest event; its message is the one that is written. */
  latest: EventInput;
  occurrences: Occurrence[];
  /** The write of the first `count` occurrences, once it was tried; later ones wait for the next. */
  write: { readonly name: string; readonly count: number } | undefined;
}

export class EventQueue {
  readonly #most: number;
  readonly #waiting = new Map<string, Waiting>();
  #size = 0;

  /** @param most series, and a hundred times as many occurrences */
  constructor(most: number) {
    this.#most = most;
  }

  /** Occurrences that wait. */
  get size(): number {
    return this.#size;
  }

  /** @returns false if there is no room; then nothing was kept. */
  add(input: EventInput, occurrence: Occurrence): boolean {
    const key = seriesKey(input);
    const waiting = this.#waiting.get(key);
    if (this.#size >= 100 * this.#most) return false;
    if (waiting === undefined) {
      if (this.#waiting.size >= this.#most) return false;
      this.#waiting.set(key, { key, latest: input, occurrences: [occurrence], write: undefined });
    } else {
      waiting.latest = input;
      waiting.occurrences.push(occurrence);
    }
    ++this.#size;
    return true;
  }

  /** Oldest first. */
  entries(): IterableIterator<Waiting> {
    return this.#waiting.values();
  }

  /** Takes the occurrences of the entry's write away; what came later goes to the end of the queue. */
  settle(entry: Waiting, outcome: Outcome): void {
    const settled = entry.occurrences.splice(0, entry.write?.count);
    this.#size -= settled.length;
    entry.write = undefined;
    this.#waiting.delete(entry.key);
    if (entry.occurrences.length > 0) this.#waiting.set(entry.key, entry);
    for (const occurrence of settled) occurrence.settled?.(outcome);
  }

  /** Lets others go first. */
  defer(entry: Waiting): void {
    this.#waiting.delete(entry.key);
    this.#waiting.set(entry.key, entry);
  }
}
