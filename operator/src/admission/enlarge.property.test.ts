/** Of any pod: admitted twice is admitted once, and nothing changes but what is ours. */
import assert from "node:assert/strict";
import test from "node:test";
import { annotations, hintGroups, labels, vramResource } from "@loretoken/api";
import jsonPatch, { type Operation } from "fast-json-patch";
import { randomFrom } from "../../../lib/api/src/testing/random.ts";
import { randomPod } from "../testing/pods.ts";
import { defaultOptions } from "./enlarge.ts";
import { askedOf, type Container, type Pod, placesOf } from "./pod.ts";
import { decideOnPod } from "./pods.ts";
import type { AdmissionRequest, Decision } from "./review.ts";

const rounds = 4000;
const ourVariables = new Set(hintGroups.flatMap(({ variables }) => Object.keys(variables)));

function decide(pod: Pod, replaceGpu = false): Decision {
  const kind = { group: "", version: "v1", kind: "Pod" };
  const request: AdmissionRequest = { uid: "u", kind, operation: "CREATE", object: structuredClone(pod) };
  return decideOnPod(request, { ...defaultOptions, replaceGpu });
}

function apply(pod: Pod, decision: Decision): Pod {
  assert.ok(decision.allowed);
  return jsonPatch.applyPatch(structuredClone(pod), [...decision.patch] as Operation[], true).newDocument;
}

/** The pod without anything that may be changed. */
function rest(pod: Pod): unknown {
  const copy = structuredClone(pod) as Pod;
  const prune = (container: Container): void => {
    for (const list of ["limits", "requests"] as const) {
      const { [vramResource]: _, "nvidia.com/gpu": __, ...others } = container.resources?.[list] ?? {};
      container.resources = { ...container.resources, [list]: others };
    }
    container.env = (container.env ?? []).filter(({ name }) => !ourVariables.has(name));
  };
  for (const { container } of placesOf(copy)) prune(container);
  const { [labels.managed]: _, ...others } = copy.metadata?.labels ?? {};
  copy.metadata = { ...copy.metadata, labels: others };
  return copy;
}

test("admitted twice is admitted once; nothing else changes", () => {
  const random = randomFrom(1);
  const seen = { changed: 0, refused: 0, replaced: 0 };
  for (let round = 0; round < rounds; ++round) {
    const pod = randomPod(random, true);
    const decision = decide(pod, random() < 0.3);
    if (!decision.allowed) {
      seen.refused += 1;
      assert.ok(decision.code === 422 && decision.message.length > 20);
      continue;
    }
    const once = apply(pod, decision);
    seen.changed += 1;
    const again = decide(once);
    assert.ok(again.allowed && again.patch.length === 0, JSON.stringify({ pod, again }));
    assert.deepEqual(rest(once), rest(pod));
    assertUnits(pod, once);
    assert.equal(once.metadata?.labels?.[labels.managed], "true");
    assertEnvironment(pod, once);
    if (JSON.stringify(pod).includes("nvidia.com/gpu") && !JSON.stringify(once).includes("nvidia.com/gpu")) {
      seen.replaced += 1;
    }
  }
  assert.ok(seen.changed > rounds / 10 && seen.refused > rounds / 10 && seen.replaced > 20, JSON.stringify(seen));
});

function assertUnits(pod: Pod, once: Pod): void {
  const mine = placesOf(once).filter(({ container }) => askedOf(container, vramResource) !== undefined);
  const before = placesOf(pod).filter(({ container }) => askedOf(container, vramResource) !== undefined);
  assert.ok(mine.length >= 1 && mine.length <= Math.max(1, before.length + 1));
  for (const { container } of mine) {
    const { limits, requests } = container.resources ?? {};
    if (limits?.[vramResource] !== undefined && requests?.[vramResource] !== undefined) {
      assert.equal(String(limits[vramResource]), String(requests[vramResource]));
    }
  }
}

function assertEnvironment(pod: Pod, once: Pod): void {
  for (const { list, index, container } of placesOf(once)) {
    const before = pod.spec[list]?.[index]?.env ?? [];
    const after = container.env ?? [];
    assert.deepEqual(after.slice(0, before.length), before, "what the user set stays, in its place");
    const names = after.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length, "no variable twice");
  }
}

test("a pod without the annotation is never changed, whatever else it has", () => {
  const random = randomFrom(2);
  for (let round = 0; round < rounds; ++round) {
    const pod = randomPod(random, false);
    assert.equal(pod.metadata?.annotations?.[annotations.vram], undefined);
    assert.deepEqual(decide(pod, true), { allowed: true, patch: [], warnings: [] });
  }
});

test("sidecars that others put before or behind it change nothing about the choice", () => {
  const random = randomFrom(3);
  for (let round = 0; round < 1000; ++round) {
    const pod = randomPod(random, true);
    const decision = decide(pod);
    if (!decision.allowed) continue;
    const once = apply(pod, decision);
    const sidecar = { name: "proxy", image: "proxy", env: [{ name: "X", value: "y" }] } as Container;
    for (const containers of [
      [sidecar, ...once.spec.containers],
      [...once.spec.containers, sidecar],
    ]) {
      const injected = { ...once, spec: { ...once.spec, containers } };
      const again = decide(injected);
      assert.ok(again.allowed && again.patch.length === 0, JSON.stringify({ pod, again }));
    }
  }
});
