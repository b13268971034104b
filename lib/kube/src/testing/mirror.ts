/** What a handler makes of the changes that it is told: must be the store at every moment, and each change must make sense. */
import assert from "node:assert/strict";
import type { Handlers } from "../deltas.ts";
import type { KubeObject } from "../resource.ts";

export class Mirror<T extends KubeObject> implements Handlers<T> {
  readonly objects = new Map<string, T>();
  readonly log: string[] = [];
  /** What made no sense. */
  readonly faults: string[] = [];
  missed = 0;

  onAdd(object: T, key: string): void {
    this.#note("add", key, object);
    if (this.objects.has(key)) this.faults.push(`${key} added, was there`);
    this.objects.set(key, object);
  }

  onUpdate(before: T, now: T, key: string): void {
    this.#note("update", key, now);
    if (this.objects.get(key) !== before) this.faults.push(`${key} updated from what it was not`);
    if (before.metadata?.resourceVersion === now.metadata?.resourceVersion)
      this.faults.push(`${key} updated to the same`);
    if (before.metadata?.uid !== now.metadata?.uid) this.faults.push(`${key} updated to another object`);
    this.objects.set(key, now);
  }

  onDelete(last: T, key: string, missed: boolean): void {
    this.#note("delete", key, last);
    if (!this.objects.delete(key)) this.faults.push(`${key} deleted, was not there`);
    if (missed) this.missed += 1;
  }

  /** @throws {AssertionError} if a change made no sense, or there is something else than `expected` */
  check(expected: Iterable<[string, T]>): void {
    assert.deepEqual(this.faults, []);
    const versions = (of: Iterable<[string, T]>): [string, string | undefined][] =>
      [...of].map(([key, { metadata }]): [string, string | undefined] => [key, metadata?.resourceVersion]).sort();
    assert.deepEqual(versions(this.objects), versions(expected));
  }

  #note(what: string, key: string, { metadata }: T): void {
    this.log.push(`${what} ${key} ${metadata?.resourceVersion}`);
  }
}
