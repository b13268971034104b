import assert from "node:assert/strict";
import test from "node:test";
import { GiB, unitsOf } from "../testing/fixtures.ts";
import { capacityOf, committed, guaranteeOf, unitsBackedBy } from "./shares.ts";

const reserve = { bytes: GiB };

test("a card offers whole units of physical × expansion − reserve", () => {
  assert.deepEqual(capacityOf(24n * GiB, 1.5, reserve), { usable: 23n * GiB, units: 35 });
  assert.deepEqual(capacityOf(24n * GiB, 1, reserve), { usable: 23n * GiB, units: 23 });
  assert.deepEqual(capacityOf(24n * GiB, 8, reserve), { usable: 23n * GiB, units: 191 });
  assert.deepEqual(capacityOf(10n * GiB + 5n, 1.5, { permille: 100 }), { usable: 9n * GiB + 5n, units: 14 });
});

test("a reserve that leaves nothing leaves no unit", () => {
  assert.deepEqual(capacityOf(GiB, 1.5, { bytes: 2n * GiB }), { usable: 0n, units: 0 });
  assert.equal(guaranteeOf({ usable: 0n, units: 0 }, 0), 0n);
  assert.equal(unitsBackedBy({ usable: 0n, units: 0 }, GiB), 0);
});

test("all units together are guaranteed all that is usable, single ones their part in whole pages", () => {
  const capacity = capacityOf(24n * GiB, 1.5, reserve);
  assert.equal(guaranteeOf(capacity, 35), 23n * GiB);
  const one = guaranteeOf(capacity, 1);
  assert.equal(one % (2n << 20n), 0n);
  assert.ok(one <= (23n * GiB) / 35n && one > (23n * GiB) / 35n - (2n << 20n));
  assert.equal(unitsBackedBy(capacity, 23n * GiB), 35);
  assert.equal(unitsBackedBy(capacity, -1n), 0);
});

test("promises add up; units that two of them share count once, by the larger", () => {
  const a = { units: unitsOf(0, 0, 4), guaranteed: 4n * GiB };
  const b = { units: unitsOf(0, 4, 2), guaranteed: GiB };
  assert.equal(committed([a, b]), 5n * GiB);
  assert.equal(committed([a, b, { units: unitsOf(0, 0, 2), guaranteed: GiB }]), 5n * GiB);
  assert.equal(committed([a, b, { units: unitsOf(0, 2, 4), guaranteed: 8n * GiB }]), 10n * GiB);
  assert.equal(committed([]), 0n);
});
