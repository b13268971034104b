import assert from "node:assert/strict";
import test from "node:test";
import { HealthBook } from "./book.ts";

const minute = 60_000;
const bookOf = (): HealthBook => new HealthBook({ ignoredXids: [13, 31], recover: minute });
const well = { state: "healthy" };

/** Probes every ten seconds from one time to another. */
function probe(book: HealthBook, from: number, to: number): void {
  for (let now = from; now <= to; now += 10_000) book.answered("A", 0, now);
}

test("an XID that programs cause says nothing, another makes ill", () => {
  const book = bookOf();
  assert.equal(book.xid("A", 31, 0), false);
  assert.deepEqual(book.get("A"), well);
  assert.equal(book.xid("A", 79, 0), true);
  assert.deepEqual(book.get("A"), { state: "unhealthy", cause: "XID 79" });
  assert.equal(book.xidOf("A"), 79);
  assert.deepEqual(book.get("B"), well);
});

test("clean probes for long enough make well; a fault meanwhile starts the time anew", () => {
  const book = bookOf();
  book.xid("A", 79, 0);
  probe(book, 10_000, 50_000);
  assert.equal(book.get("A").state, "unhealthy");
  book.xid("A", 48, 55_000);
  probe(book, 60_000, 110_000);
  assert.deepEqual(book.get("A"), { state: "unhealthy", cause: "XID 79" }, "of what it fell ill first");
  probe(book, 115_000, 115_000);
  assert.deepEqual(book.get("A"), well);
  assert.equal(book.xidOf("A"), undefined);
});

test("time alone does not make well: it must have answered", () => {
  const book = bookOf();
  book.fault("A", "the GPU is lost", 0);
  book.answered("A", 0, 10 * minute);
  assert.equal(book.get("A").state, "unhealthy", "once is not enough");
  book.answered("A", 0, 10 * minute + 1);
  assert.deepEqual(book.get("A"), well);
  assert.deepEqual(bookOf().get("A"), well);
});

test("each relapse takes longer, up to an hour; after long health it is as at first", () => {
  const book = bookOf();
  let now = 0;
  const pauses: number[] = [];
  for (let round = 0; round < 9; ++round) {
    book.xid("A", 79, now);
    const fell = now;
    while (book.get("A").state === "unhealthy") {
      now += 10_000;
      book.answered("A", 0, now);
    }
    pauses.push((now - fell) / minute);
    now += minute;
  }
  assert.deepEqual(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
  now += 11 * 60 * minute;
  book.xid("A", 79, now);
  probe(book, now + 10_000, now + minute);
  assert.deepEqual(book.get("A"), well);
});

test("a storm of XIDs is one illness", () => {
  const book = bookOf();
  for (let now = 0; now < 100_000; ++now) book.xid("A", 63, now);
  probe(book, 100_000, 100_000 + minute - 10_000);
  assert.equal(book.get("A").state, "unhealthy");
  probe(book, 100_000 + minute, 100_000 + minute);
  assert.deepEqual(book.get("A"), well);
});

test("memory errors make ill when they rise, not by their number", () => {
  const book = bookOf();
  book.answered("A", 7, 0);
  book.answered("A", 7, 1000);
  assert.deepEqual(book.get("A"), well);
  book.answered("A", 9, 2000);
  assert.deepEqual(book.get("A"), {
    state: "unhealthy",
    cause: "memory errors that could not be corrected: 9, 7 before",
  });
  book.answered("B", undefined, 0);
  book.answered("B", 5, 1);
  assert.deepEqual(book.get("B"), well);
});

test("what was kept goes on: who was ill is ill until it answered cleanly, with the pause that it had", () => {
  const before = bookOf();
  before.xid("A", 79, 0);
  before.answered("B", 7, 0);
  const book = bookOf();
  book.restore(JSON.parse(JSON.stringify(before.records())), 10 * minute);
  assert.deepEqual(book.get("A"), { state: "unhealthy", cause: "XID 79" }, "time without an agent does not make well");
  assert.equal(book.xidOf("A"), 79);
  probe(book, 10 * minute, 10 * minute);
  assert.equal(book.get("A").state, "unhealthy");
  probe(book, 10 * minute + 1, 10 * minute + 1);
  assert.deepEqual(book.get("A"), well);
  book.answered("B", 9, 10 * minute);
  assert.equal(book.get("B").state, "unhealthy", "errors that came while there was no agent");
});

test("a clock that was put back keeps nobody ill for longer than the pause", () => {
  const before = bookOf();
  before.xid("A", 79, 1000 * minute);
  const book = bookOf();
  book.restore(before.records(), 0);
  probe(book, 10_000, minute);
  assert.deepEqual(book.get("A"), well);
});

test("there is something to keep when health changes, not with every probe or every fault of a storm", () => {
  const book = bookOf();
  const news = (work: () => void): boolean => {
    const before = book.revision;
    work();
    return book.revision !== before;
  };
  book.answered("A", 0, 0);
  assert.equal(
    news(() => probe(book, 0, minute)),
    false,
  );
  assert.equal(
    news(() => book.xid("A", 79, minute)),
    true,
  );
  assert.equal(
    news(() => book.xid("A", 79, minute + 1)),
    false,
  );
  assert.equal(
    news(() => book.xid("A", 79, minute + 10_001)),
    true,
  );
  assert.equal(
    news(() => probe(book, 2 * minute, 3 * minute)),
    true,
    "it is well",
  );
});
