import assert from "node:assert/strict";
import test from "node:test";
import { annotations } from "@loretoken/api";
import { defaultOptions } from "./enlarge.ts";
import { decideOnPod } from "./pods.ts";
import { type AdmissionReview, answer } from "./review.ts";

const object = { metadata: { annotations: { [annotations.vram]: "8Gi" } }, spec: { containers: [{ name: "a" }] } };
const request = { uid: "u-1", kind: { group: "", version: "v1", kind: "Pod" }, operation: "CREATE", object };
const review = { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request };

function ask(body: unknown): AdmissionReview["response"] {
  const reply = answer(body, (asked) => decideOnPod(asked, defaultOptions));
  assert.equal(reply.apiVersion, "admission.k8s.io/v1");
  assert.equal(reply.kind, "AdmissionReview");
  return reply.response;
}

test("an annotated pod is allowed with a patch, and the uid comes back", () => {
  const { uid, allowed, patchType, patch } = ask(review);
  assert.deepEqual([uid, allowed, patchType], ["u-1", true, "JSONPatch"]);
  const operations = JSON.parse(Buffer.from(patch ?? "", "base64").toString()) as { path: string }[];
  assert.deepEqual(
    operations.map(({ path }) => path),
    ["/metadata/labels", "/spec/containers/0/resources", "/spec/containers/0/env"],
  );
});

test("a dry run is answered alike: nothing is done besides", () => {
  assert.deepEqual(ask({ ...review, request: { ...request, dryRun: true } }), ask(review));
});

test("nothing to change: allowed, no patch", () => {
  const plain = { ...object, metadata: { annotations: {} } };
  assert.deepEqual(ask({ ...review, request: { ...request, object: plain } }), { uid: "u-1", allowed: true });
  for (const more of [{ operation: "UPDATE" }, { operation: "DELETE", object: null }, { subResource: "binding" }]) {
    assert.deepEqual(ask({ ...review, request: { ...request, ...more } }), { uid: "u-1", allowed: true });
  }
});

test("a refusal has the reason, with code 422", () => {
  const wrong = { ...object, metadata: { annotations: { [annotations.vram]: "much" } } };
  const { uid, allowed, status } = ask({ ...review, request: { ...request, object: wrong } });
  assert.deepEqual([uid, allowed, status?.code], ["u-1", false, 422]);
  assert.match(status?.message ?? "", /^annotation loretoken.dev\/vram: "much" is not allowed/);
});

test("whatever else parses is answered by a refusing review that has the uid, if there was one", () => {
  const bodies: [unknown, string, RegExp][] = [
    [
      { ...review, apiVersion: "admission.k8s.io/v1beta1" },
      "u-1",
      /not an AdmissionReview of admission.k8s.io\/v1: api/,
    ],
    [{ ...review, kind: "Review" }, "u-1", /kind/],
    [{ ...review, request: { uid: 5 } }, "", /request.uid/],
    [{ ...review, request: undefined }, "", /request/],
    [null, "", /body/],
    ["text", "", /body/],
    [[], "", /body/],
    [
      { ...review, request: { ...request, kind: { group: "apps", version: "v1", kind: "Deployment" } } },
      "u-1",
      /apps\/v1 De/,
    ],
    [
      { ...review, request: { ...request, object: { spec: { containers: [{}] } } } },
      "u-1",
      /not a pod: spec.containers.0/,
    ],
    [{ ...review, request: { ...request, object: null } }, "u-1", /not a pod/],
  ];
  for (const [body, uid, says] of bodies) {
    const response = ask(body);
    assert.deepEqual([response.uid, response.allowed, response.status?.code], [uid, false, 400], JSON.stringify(body));
    assert.match(response.status?.message ?? "", says);
  }
});
