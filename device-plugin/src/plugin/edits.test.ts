import assert from "node:assert/strict";
import test from "node:test";
import { GiB, holdingOf, unitsOf, uuidOf } from "../testing/fixtures.ts";
import { containerEdits } from "./edits.ts";

const shim = { version: "0.1.0-abc", folder: "/h/shim/0.1.0-abc", preload: "/h/shim/0.1.0-abc/ld.so.preload" };
const gpu = { uuid: uuidOf(3), index: 2, minor: 5 };
const holding = holdingOf("a1", unitsOf(3, 0, 4), { guaranteed: 2n * GiB });
const access = { gpuAccess: "nvidia-variables", cdiKind: "nvidia.com/gpu", cdiNames: "uuid" } as const;

test("a container gets the shim, its files and its figures; only telemetry is writable", () => {
  const edits = containerEdits(holding, shim, gpu, access);
  assert.deepEqual(
    edits.mounts?.map(({ containerPath, hostPath, readOnly }) => [containerPath, hostPath, readOnly]),
    [
      ["/opt/loretoken/0.1.0-abc", "/h/shim/0.1.0-abc", true],
      ["/etc/ld.so.preload", "/h/shim/0.1.0-abc/ld.so.preload", true],
      ["/run/loretoken/control", "/nowhere/a1/control", true],
      ["/run/loretoken/telemetry", "/nowhere/a1/telemetry", false],
    ],
  );
  assert.deepEqual(edits.envs, {
    NVIDIA_VISIBLE_DEVICES: uuidOf(3),
    LORETOKEN_CONTROL: "/run/loretoken/control",
    LORETOKEN_TELEMETRY: "/run/loretoken/telemetry",
    LORETOKEN_LIMIT: "2147483648",
    LORETOKEN_VIRTUAL: "4294967296",
    LORETOKEN_GPU: uuidOf(3),
    LORETOKEN_UNITS: "4",
    LORETOKEN_ALLOCATION: "a1",
  });
  assert.deepEqual(edits.annotations, {
    "loretoken.dev/allocation": "a1",
    "loretoken.dev/gpu": uuidOf(3),
    "loretoken.dev/virtual-bytes": "4294967296",
    "loretoken.dev/guaranteed-bytes": "2147483648",
  });
});

test("by CDI the GPU is named by UUID or by index", () => {
  const names = (cdiNames: "uuid" | "index"): unknown => {
    const edits = containerEdits(holding, shim, gpu, { ...access, gpuAccess: "cdi", cdiNames });
    assert.equal(edits.envs?.NVIDIA_VISIBLE_DEVICES, undefined);
    return edits.cdiDevices;
  };
  assert.deepEqual(names("uuid"), [{ name: `nvidia.com/gpu=${uuidOf(3)}` }]);
  assert.deepEqual(names("index"), [{ name: "nvidia.com/gpu=2" }]);
});

test("without NVIDIA's runtime device nodes and the driver's folder are handed in", () => {
  const edits = containerEdits(holding, shim, gpu, {
    ...access,
    gpuAccess: "device-nodes",
    driverFolder: "/usr/lib/nvidia",
  });
  assert.deepEqual(
    edits.devices?.map(({ hostPath, permissions }) => [hostPath, permissions]),
    [
      ["/dev/nvidia5", "rw"],
      ["/dev/nvidiactl", "rw"],
      ["/dev/nvidia-uvm", "rw"],
    ],
  );
  assert.equal(edits.envs?.LD_LIBRARY_PATH, "/usr/lib/nvidia");
  assert.deepEqual(edits.mounts?.[0], {
    containerPath: "/usr/lib/nvidia",
    hostPath: "/usr/lib/nvidia",
    readOnly: true,
  });
});

test("with the GPU left to others nothing of it is handed in", () => {
  const edits = containerEdits(holding, shim, gpu, { ...access, gpuAccess: "none" });
  assert.equal(edits.devices ?? edits.cdiDevices ?? edits.envs?.NVIDIA_VISIBLE_DEVICES, undefined);
  assert.equal(edits.mounts?.length, 4);
});
