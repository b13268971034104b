import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import koffi from "koffi";
import { returnFreeMemory } from "./memory.ts";

/** MiB of malloc's own, resident. */
function heap(): number {
  const [, size] = /\[heap\]\nSize:.*\n.*\n.*\nRss: +(\d+) kB/.exec(readFileSync("/proc/self/smaps", "utf8")) ?? [];
  return Number(size) / 1024;
}

test("what was freed between pieces that are in use goes back to the system", () => {
  const libc = koffi.load("libc.so.6");
  const malloc = libc.func("malloc", "void *", ["size_t"]);
  const free = libc.func("free", "void", ["void *"]);
  const memset = libc.func("memset", "void *", ["void *", "int", "size_t"]);
  const before = heap();
  const pieces = Array.from({ length: 1024 }, () => memset(malloc(32 << 10), 1, 32 << 10));
  assert.ok(heap() > before + 25, "the pieces are where malloc keeps small ones");
  for (const piece of pieces.slice(0, -1)) free(piece); // the last one keeps the heap's end where it is
  const freed = heap();
  assert.ok(returnFreeMemory());
  assert.ok(heap() < freed - 20, `${heap()} MiB of ${freed}`);
  free(pieces.at(-1));
});
