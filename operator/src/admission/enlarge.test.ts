import assert from "node:assert/strict";
import test from "node:test";
import { annotations, hintGroups, labels, vramResource } from "@loretoken/api";
import { defaultOptions, enlarge } from "./enlarge.ts";
import type { Container, Pod } from "./pod.ts";
import { Refusal } from "./refusal.ts";

const { vram, container, mode, policy, replaceGpu } = annotations;
const gpu = { resources: { limits: { "nvidia.com/gpu": "1" }, requests: { "nvidia.com/gpu": "1" } } };

function podOf(given: Record<string, string>, containers: object[] = [{ name: "main" }], more: object = {}): Pod {
  return { metadata: { annotations: given }, spec: { containers, ...more } } as unknown as Pod;
}

function unitsOf(pod: Pod, options = defaultOptions): Record<string, unknown> {
  const { spec } = enlarge(pod, options).pod;
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  return Object.fromEntries(
    all.flatMap(({ name, resources }) => {
      const units = resources?.limits?.[vramResource];
      assert.equal(resources?.requests?.[vramResource], units, "requests are limits");
      return units === undefined ? [] : [[name, units]];
    }),
  );
}

function refusal(pod: Pod, options = defaultOptions): string {
  try {
    enlarge(pod, options);
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error));
    return error.message;
  }
  assert.fail("admitted");
}

test("the container gets resource and hints, the pod its label", () => {
  const { pod, warnings } = enlarge(podOf({ [vram]: "40Gi", [mode]: "off", [policy]: "careful" }));
  const [main] = pod.spec.containers;
  assert.deepEqual(main?.resources, { limits: { [vramResource]: "40" }, requests: { [vramResource]: "40" } });
  const hints = Object.assign({}, ...hintGroups.map(({ variables }) => variables));
  assert.deepEqual(Object.fromEntries((main?.env ?? []).map(({ name, value }) => [name, value])), hints);
  assert.equal(pod.metadata?.labels?.[labels.managed], "true");
  assert.deepEqual(warnings, []);
});

test("quantities are rounded up to GiB, with a warning", () => {
  const cases = { "40Gi": "40", "1.5Gi": "2", "40G": "38", "1Mi": "1", "1e10": "10", "64Ti": "65536", "1025Mi": "2" };
  for (const [text, units] of Object.entries(cases)) {
    const pod = podOf({ [vram]: text });
    assert.deepEqual(unitsOf(pod), { main: units }, text);
    const whole = text === "40Gi" || text === "64Ti";
    const warning = `annotation ${vram}: "${text}" is rounded up to ${units}Gi`;
    assert.deepEqual(enlarge(pod).warnings, whole ? [] : [warning]);
  }
});

test("a wrong value is refused: annotation, value, what is allowed", () => {
  const quantity = "a Kubernetes quantity from 1Mi to 64Ti, such as 40Gi";
  const wrong: [string, string, string][] = [
    [vram, "lots", quantity],
    [vram, "", quantity],
    [vram, "-1Gi", quantity],
    [vram, "40GiB", quantity],
    [vram, " 40Gi", quantity],
    [vram, "40", `${quantity}; this is 40 bytes`],
    [vram, "0", `${quantity}; this is 0 bytes`],
    [vram, "65Ti", `${quantity}; this is 71468255805440 bytes`],
    [mode, "hold", "full, off"],
    [mode, "", "full, off"],
    [policy, "Not A Name", "the name of a CompressionPolicy"],
    [replaceGpu, "yes", "true, false"],
    [container, "gone", "a container of the pod: main"],
  ];
  for (const [annotation, value, allowed] of wrong) {
    assert.equal(
      refusal(podOf({ [vram]: "40Gi", [annotation]: value })),
      `annotation ${annotation}: ${JSON.stringify(value)} is not allowed; allowed: ${allowed}`,
    );
  }
  assert.ok(refusal(podOf({ [vram]: "x".repeat(100_000) })).length < 300);
});

test("whose it is: named, else who asks for a GPU, else the default container, else the first", () => {
  const three = [{ name: "a" }, { name: "b" }, { name: "c" }];
  const kubectl = "kubectl.kubernetes.io/default-container";
  assert.deepEqual(unitsOf(podOf({ [vram]: "8Gi" }, three)), { a: "8" });
  assert.deepEqual(unitsOf(podOf({ [vram]: "8Gi", [kubectl]: "b" }, three)), { b: "8" });
  assert.deepEqual(unitsOf(podOf({ [vram]: "8Gi", [kubectl]: "gone" }, three)), { a: "8" });
  const asking = podOf({ [vram]: "8Gi", [kubectl]: "b", [replaceGpu]: "true" }, [...three, { name: "d", ...gpu }]);
  assert.deepEqual(unitsOf(asking), { d: "8" });
  assert.deepEqual(unitsOf(podOf({ [vram]: "8Gi", [container]: "c", [kubectl]: "b" }, three)), { c: "8" });
  const none = { ...three[1], resources: { limits: { "nvidia.com/gpu": "0" } } };
  assert.deepEqual(unitsOf(podOf({ [vram]: "8Gi" }, [three[0] ?? {}, none])), { a: "8" });
});

test("init and sidecar containers can be named, and are taken if they ask; ephemeral ones stay as they are", () => {
  const more = {
    initContainers: [{ name: "once" }, { name: "beside", restartPolicy: "Always" }],
    ephemeralContainers: [{ name: "debug" }],
  };
  for (const name of ["once", "beside"]) {
    const pod = podOf({ [vram]: "8Gi", [container]: name }, undefined, more);
    assert.deepEqual(unitsOf(pod), { [name]: "8" });
    assert.deepEqual(enlarge(pod).pod.spec.ephemeralContainers, more.ephemeralContainers);
  }
  const asks = { ...more, initContainers: [{ name: "beside", restartPolicy: "Always", ...gpu }] };
  assert.deepEqual(unitsOf(podOf({ [vram]: "8Gi", [replaceGpu]: "true" }, undefined, asks)), { beside: "8" });
  assert.match(refusal(podOf({ [vram]: "8Gi", [container]: "debug" }, undefined, more)), /main, once, beside$/);
});

test("several that ask: the author must say which", () => {
  const two = [
    { name: "a", ...gpu },
    { name: "b", ...gpu },
  ];
  assert.match(refusal(podOf({ [vram]: "8Gi" }, two)), /containers a, b each ask for a GPU; name the one .* loretoken/);
  const named = podOf({ [vram]: "8Gi", [container]: "a", [replaceGpu]: "true" }, two);
  assert.match(refusal(named), /container b asks for nvidia.com\/gpu, and a gets its GPU from LoreToken: .* take/);
});

test("another plugin's GPU is replaced only where that is allowed, else refused with the way out", () => {
  const mixed = (more: Record<string, string> = {}) => podOf({ [vram]: "8Gi", ...more }, [{ name: "a", ...gpu }]);
  const always = { ...defaultOptions, replaceGpu: true };
  assert.equal(
    refusal(mixed()),
    'container a asks for nvidia.com/gpu: 1 beside the annotation loretoken.dev/vram, which gives it a GPU already; take nvidia.com/gpu out of its resources, or set the annotation loretoken.dev/replace-gpu: "true" to have it taken out',
  );
  assert.match(refusal(mixed({ [replaceGpu]: "false" }), always), /take nvidia.com\/gpu out/);
  for (const pod of [enlarge(mixed({ [replaceGpu]: "true" })).pod, enlarge(mixed(), always).pod]) {
    const only = { [vramResource]: "8" };
    assert.deepEqual(pod.spec.containers[0]?.resources, { limits: only, requests: only });
  }
});

test("what cannot be replaced by one GPU is refused in any case", () => {
  for (const [name, amount, why] of [
    ["nvidia.com/gpu", "2", /one container gets one GPU/],
    ["nvidia.com/mig-1g.10gb", "1", /only nvidia.com\/gpu: 1 can be replaced/],
    ["nvidia.com/gpu.shared", "1", /only nvidia.com\/gpu: 1 can be replaced/],
  ] as const) {
    const pod = podOf({ [vram]: "8Gi", [replaceGpu]: "true" }, [
      { name: "a", resources: { limits: { [name]: amount } } },
    ]);
    assert.match(refusal(pod), why);
  }
});

test("a resource that the container states itself must be the same", () => {
  const stating = (amount: string) => [{ name: "a" }, { name: "b", resources: { limits: { [vramResource]: amount } } }];
  assert.deepEqual(unitsOf(podOf({ [vram]: "8Gi" }, stating("8"))), { b: "8" });
  assert.match(refusal(podOf({ [vram]: "8Gi" }, stating("9"))), /b has loretoken.dev\/vram: 9 in its limits.* for 8;/);
});

test("hints of which the user set one are left alone, with their whole group", () => {
  const env = [{ name: "PYTORCH_CUDA_ALLOC_CONF", value: "max_split_size_mb:64" }];
  const { pod, warnings } = enlarge(podOf({ [vram]: "8Gi" }, [{ name: "a", env }]));
  const after = pod.spec.containers[0]?.env ?? [];
  assert.deepEqual(after[0], env[0]);
  assert.ok(!after.some(({ name }) => name === "PYTORCH_ALLOC_CONF"));
  assert.ok(after.some(({ name }) => name === "TF_GPU_ALLOCATOR"));
  assert.deepEqual(warnings, []);
});

test("hints that envFrom may hold are not set over it, and the author is told", () => {
  const from = (prefix?: string) => [{ configMapRef: { name: "x" }, ...(prefix === undefined ? {} : { prefix }) }];
  const withFrom = (envFrom: object[]) => enlarge(podOf({ [vram]: "8Gi" }, [{ name: "a", envFrom }]));
  const names = ({ pod }: { pod: Pod }): string[] =>
    ((pod.spec.containers[0] as Container).env ?? []).map((v) => v.name);
  const all = withFrom(from());
  assert.deepEqual(names(all), []);
  assert.equal(all.warnings.length, 6);
  assert.ok(all.warnings.every((text) => text.length < 200));
  assert.ok(!names(withFrom(from("XLA_"))).includes("XLA_PYTHON_CLIENT_ALLOCATOR"));
  assert.ok(names(withFrom(from("XLA_"))).includes("TF_GPU_ALLOCATOR"));
  assert.deepEqual(withFrom(from("APP_")).warnings, []);
});

test("a pod without the annotation is the very same pod", () => {
  const pod = podOf({ [container]: "gone", [mode]: "wrong" }, [{ name: "a", ...gpu }]);
  assert.equal(enlarge(pod).pod, pod);
});
