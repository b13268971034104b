import assert from "node:assert/strict";
import test from "node:test";
import { GiB, gpuOf, holdingOf, unitsOf, uuidOf } from "../testing/fixtures.ts";
import { AllocationError, type RefusalReason } from "./errors.ts";
import { Ledger } from "./ledger.ts";

const reserve = { bytes: GiB };

/** Two cards of 24 GiB, 35 units each. */
function ledgerOf(): Ledger {
  const ledger = new Ledger({ expansion: 1.5, reserve });
  ledger.addGpu(gpuOf(1));
  ledger.addGpu(gpuOf(0));
  return ledger;
}

function refused(ledger: Ledger, ids: string[], reason: RefusalReason, words: RegExp): void {
  assert.throws(
    () => ledger.plan(ids),
    (error: unknown) => {
      assert.ok(error instanceof AllocationError);
      assert.equal(error.reason, reason);
      assert.match(error.message, words);
      return true;
    },
  );
}

function offeredOn(ledger: Ledger, slot: number): number[] {
  return [...(ledger.gpus().find((gpu) => gpu.slot === slot)?.offered ?? [])];
}

test("units are offered in order, all of a sick GPU as unhealthy", () => {
  const ledger = ledgerOf();
  ledger.setHealth(uuidOf(1), { state: "unhealthy", cause: "XID 79" });
  const offered = ledger.offered();
  assert.equal(offered.length, 70);
  assert.deepEqual(offered.map(({ id }) => id).slice(34, 36), ["0-34", "1-0"]);
  assert.deepEqual(new Set(offered.filter(({ healthy }) => !healthy).map(({ gpu }) => gpu.slot)), new Set([1]));
});

test("a plan has the units' part of the card and what the program is told", () => {
  const plan = ledgerOf().plan(["0-3", "0-2", "0-2"]);
  assert.deepEqual(plan.units, ["0-2", "0-3"]);
  assert.equal(plan.virtualSize, 2n * GiB);
  assert.ok(plan.guaranteed <= (23n * GiB * 2n) / 35n);
  assert.equal(plan.gpu.uuid, uuidOf(0));
  assert.deepEqual(plan.rivals, []);
});

test("what cannot be given is refused with the figures", () => {
  const ledger = ledgerOf();
  ledger.put(holdingOf("a", unitsOf(1, 0, 30)));
  refused(ledger, [], "UnknownUnit", /no units were named/);
  refused(ledger, ["GPU-1"], "UnknownUnit", /no units of this node: GPU-1; a unit is named/);
  refused(ledger, ["7-0"], "UnknownUnit", /no GPU 7 on this node; GPUs are 0, 1/);
  refused(ledger, ["0-34", "0-35"], "UnknownUnit", /not offered: 0-35; GPU 0 offers 35 of 35 units now/);
  refused(
    ledger,
    [...unitsOf(0, 0, 35), "1-30"],
    "UnitsOnSeveralGpus",
    /no GPU has 36 units free together: the kubelet chose 35 on GPU 0, 1 on GPU 1. Free units: GPU 0: 35, GPU 1: 5; a container that asks for 35 or fewer fits now/,
  );
  ledger.setHealth(uuidOf(0), { state: "unhealthy", cause: "XID 79 at 12:00" });
  refused(ledger, ["0-0"], "GpuUnhealthy", /GPU 0 \(GPU-.*\) is unhealthy: XID 79 at 12:00/);
});

test("others that hold the same units are named, unless they are known to be gone", () => {
  const ledger = ledgerOf();
  ledger.put(holdingOf("a", unitsOf(0, 0, 3)));
  ledger.put(holdingOf("b", unitsOf(0, 5, 3)));
  const ids = (gone?: Set<string>): string[] => ledger.plan(["0-2", "0-3"], gone).rivals.map(({ id }) => id);
  assert.deepEqual(ids(), ["a"]);
  assert.deepEqual(ids(new Set(["a"])), []);
});

test("a lowered expansion takes nothing from who holds: free units go first, the highest ones, then nothing new is placed", () => {
  const ledger = ledgerOf();
  const held = holdingOf("a", [...unitsOf(0, 0, 10), ...unitsOf(0, 30, 5)]);
  ledger.put(held);
  ledger.settings = { expansion: 1, reserve };
  assert.deepEqual(offeredOn(ledger, 0), [...Array.from({ length: 18 }, (_, unit) => unit), 30, 31, 32, 33, 34]);
  ledger.put(holdingOf("b", unitsOf(0, 10, 20)));
  assert.equal(offeredOn(ledger, 0).length, 35, "nothing of what is held is withdrawn");
  ledger.remove("a");
  assert.deepEqual(offeredOn(ledger, 0).length, 23);
  assert.ok(ledger.holdings().some(({ id, units }) => id === "b" && units.length === 20));
});

test("a raised expansion offers no more than the guarantees of those who are there leave", () => {
  const ledger = new Ledger({ expansion: 1, reserve });
  ledger.addGpu(gpuOf(0));
  const { guaranteed, units, virtualSize } = ledger.plan(unitsOf(0, 0, 20));
  ledger.put(holdingOf("a", units, { guaranteed, virtualSize }));
  ledger.settings = { expansion: 2, reserve };
  const [gpu] = ledger.gpus();
  assert.ok(gpu);
  assert.equal(gpu.capacity.units, 47);
  assert.equal(gpu.offered.length, 20 + 6, "3 GiB are left, at 23/47 GiB a unit");
});

test("what strangers use is neither offered nor promised", () => {
  const ledger = ledgerOf();
  ledger.setStrangers(uuidOf(0), 12n * GiB);
  assert.equal(offeredOn(ledger, 0).length, 16, "11 of 23 GiB are left");
  assert.equal(offeredOn(ledger, 1).length, 35);
  const { guaranteed, units } = ledger.plan(unitsOf(0, 0, 16));
  ledger.put(holdingOf("a", units, { guaranteed }));
  ledger.setStrangers(uuidOf(0), 14n * GiB);
  assert.equal(offeredOn(ledger, 0).length, 16, "what is held stays");
  refused(
    ledger,
    unitsOf(0, 0, 1),
    "NotEnoughMemory",
    /cannot guarantee 0\.\d GiB: of 23\.0 GiB 10\.\d GiB are promised.* 14\.0 GiB/,
  );
});

test("a card that is entered again keeps what was found out about it", () => {
  const ledger = ledgerOf();
  ledger.setHealth(uuidOf(0), { state: "unhealthy", cause: "lost" });
  ledger.addGpu(gpuOf(0, 48n * GiB));
  assert.equal(ledger.gpus()[0]?.health.state, "unhealthy");
  assert.equal(ledger.gpus()[0]?.physical, 48n * GiB);
});

test("what has not changed is the same object: nobody compares lists round after round", () => {
  const ledger = ledgerOf();
  const holding = holdingOf("a", unitsOf(0, 0, 3));
  ledger.put(holding);
  const [list, [first, second]] = [ledger.offered(), ledger.gpus()];
  ledger.put({ ...holding, owner: { namespace: "n", pod: "p", podUid: "u", container: "c" } });
  ledger.setStrangers(uuidOf(0), 0n);
  assert.equal(ledger.offered(), list);
  assert.deepEqual(
    ledger.gpus().map((gpu, index) => gpu === [first, second][index]),
    [true, true],
  );
  ledger.setStrangers(uuidOf(0), 5n);
  assert.equal(ledger.offered(), list, "so little changes no unit");
  assert.notEqual(ledger.gpus()[0], first);
  ledger.setHealth(uuidOf(1), { state: "unhealthy", cause: "XID 79" });
  assert.notEqual(ledger.offered(), list);
});
