import assert from "node:assert/strict";
import test from "node:test";
import { errorCode, errorName, NvmlError } from "./errors.ts";

test("an error carries NVML's name, its code and the call, and says what it means", () => {
  const error = new NvmlError("nvmlDeviceGetPowerUsage", 15);
  assert.equal(error.error, "NVML_ERROR_GPU_IS_LOST");
  assert.equal(error.code, 15);
  assert.equal(error.call, "nvmlDeviceGetPowerUsage");
  assert.match(error.message, /nvmlDeviceGetPowerUsage: NVML_ERROR_GPU_IS_LOST \(the GPU fell off the bus/);
});

test("names and codes agree for every code of NVML 13", () => {
  const codes = [...Array.from({ length: 30 }, (_, index) => index + 1), 999];
  for (const code of codes) {
    const name = errorName(code);
    assert.match(name, /^NVML_ERROR_[A-Z_]+$/, `code ${code}`);
    assert.equal(errorCode(name as Parameters<typeof errorCode>[0]), code);
  }
});

test("a code of a later NVML keeps its number", () => {
  assert.equal(errorName(77), "NVML_ERROR_77");
  assert.match(new NvmlError("nvmlInit_v2", 77).message, /NVML_ERROR_77 \(an error that this program does not know\)/);
});
