import assert from "node:assert/strict";
import test from "node:test";
import { type DriverAnswer, driverFindings, hookFindings, libcFinding } from "./doctor-findings.ts";

const card = { index: 0, name: "Card", uuid: "GPU-1", memory: 2 ** 30, vmm: true, compute: "9.0" };
const good: DriverAnswer = { libc: "2.36", path: "/lib/libcuda.so.1", version: 13_000, devices: [card] };

test("a machine in order has only good findings", () => {
  assert.ok([libcFinding(good), ...driverFindings(good)].every((finding) => finding.good));
});

const broken: [string, DriverAnswer, RegExp, RegExp][] = [
  ["no driver", { libc: "2.36", error: "libcuda.so.1: not found" }, /not found/, /install NVIDIA's driver/],
  ["an old driver", { ...good, version: 12_040 }, /CUDA 12\.4/, /570/],
  [
    "cuInit fails",
    { libc: "2.36", version: 13_000, error: "cuInit returned CUDA_ERROR_NO_DEVICE" },
    /cuInit/,
    /--gpus all/,
  ],
  ["no card", { ...good, devices: [] }, /no card/, /CUDA_VISIBLE_DEVICES/],
  ["no VMM", { ...good, devices: [{ ...card, vmm: false }] }, /no virtual memory management/, /vGPU/],
  ["an old card", { ...good, devices: [{ ...card, compute: "7.5" }] }, /compute 7\.5/, /Ampere/],
  [
    "a card in error",
    { ...good, devices: [{ index: 0, error: "cuDeviceGet returned X" }] },
    /cuDeviceGet/,
    /nvidia-smi/,
  ],
];

for (const [what, answer, text, fix] of broken) {
  test(`${what}: says so, with the fix`, () => {
    const bad = driverFindings(answer).filter((finding) => !finding.good);
    assert.equal(bad.length, 1);
    assert.match(bad[0]?.text ?? "", text);
    assert.match(bad[0]?.fix ?? "", fix);
  });
}

test("glibc is compared by number, not by text", () => {
  assert.equal(libcFinding({ libc: "2.28" }).good, true);
  assert.equal(libcFinding({ libc: "2.100" }).good, true);
  assert.equal(libcFinding({ libc: "2.9" }).good, false);
  assert.equal(libcFinding({}).good, false);
});

const doors = {
  linked: "/x/libloretoken.so",
  dlsym: "/x/libloretoken.so",
  proc_address: "/x/libloretoken.so",
  shim: { hooks: 300, resolved: 290 },
  problem: "",
};

test("every door must lead to the shim", () => {
  assert.ok(hookFindings(doors, "/x/libloretoken.so").every((finding) => finding.good));
  const findings = hookFindings({ ...doors, dlsym: "/usr/lib/libcuda.so.1" }, "/x/libloretoken.so");
  assert.deepEqual(
    findings.filter((finding) => !finding.good).map((finding) => finding.text),
    ["dlsym leads to /usr/lib/libcuda.so.1"],
  );
});

test("a self-test that failed, crashed or gave nonsense is never good", () => {
  for (const answer of [
    { ...doors, problem: "memory did not come back as written" },
    { error: "killed" },
    null,
    3,
    {},
  ]) {
    assert.ok(hookFindings(answer, "/x/libloretoken.so").some((finding) => !finding.good));
  }
});
