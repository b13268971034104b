import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { codecs } from "@loretoken/telemetry";
import { parse } from "yaml";
import { badPolicies, goodPolicies } from "../testing/policies.ts";
import { compressionPolicy, selectionText } from "./compression-policy.ts";
import { compressionPolicySpec, losslessCodecs } from "./spec.ts";

const root = join(import.meta.dirname, "../../../..");
const objectOf = (spec: object): object => ({ metadata: { name: "p" }, spec });

/** As the API server writes it: spec.codecs.allow[1]. */
function fieldOf(path: readonly PropertyKey[]): string {
  return path
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`))
    .join("")
    .slice(1);
}

for (const { what, spec } of goodPolicies) {
  test(`taken: ${what}`, () => {
    const parsed = compressionPolicy.parse(objectOf(spec));
    // What was filled in stays as it is.
    assert.deepEqual(compressionPolicy.parse(parsed), parsed);
  });
}

for (const { what, spec, at, says } of badPolicies) {
  test(`refused: ${what}`, () => {
    const parsed = compressionPolicy.safeParse(objectOf(spec));
    const issues = parsed.error?.issues.map(({ path, message }) => ({ at: fieldOf(path), message })) ?? [];
    const issue = issues.find((one) => one.at === at);
    assert.ok(issue, JSON.stringify(issues));
    if (typeof says === "string") assert.equal(issue.message, says);
  });
}

test("what is not said: nothing for nodes, the safe way for pods", () => {
  assert.deepEqual(compressionPolicySpec.parse({}), {
    namespaceSelector: {},
    nodeSelector: {},
    priority: 0,
    suspend: false,
    mode: "full",
    tiers: { host: { enabled: true } },
    codecs: {},
    verify: "always",
    pointerSafety: "learned",
    guardrails: {
      integrity: { action: "fail", threshold: 1, windowSeconds: 3600 },
      penalty: { maxPercent: 10, windowSeconds: 10 },
    },
  });
});

test("every rule of the definition is broken by one of the objects", () => {
  const definition = readFileSync(join(root, "crds/loretoken.dev_compressionpolicies.yaml"), "utf8");
  const messages = new Set<string>();
  const visit = (at: unknown): void => {
    if (typeof at !== "object" || at === null) return;
    for (const [key, value] of Object.entries(at)) {
      if (key !== "x-kubernetes-validations") visit(value);
      else for (const { message } of value) messages.add(message);
    }
  };
  visit(parse(definition));
  assert.deepEqual(messages, new Set(badPolicies.map(({ says }) => says).filter((says) => typeof says === "string")));
});

test("codecs to allow are those that the kernels decode; lossy ones are none of them yet", () => {
  const header = readFileSync(join(root, "kernels/include/loretoken/blob.h"), "utf8");
  const mask = Number(/kDecodableCodecs = (0x[0-9A-F]+);/.exec(header)?.[1]);
  const decodable = codecs.filter((_, bit) => (mask >> bit) & 1);
  assert.deepEqual(["raw", ...losslessCodecs], decodable);
});

test("a selection in one line", () => {
  const text = (spec: object): string => selectionText(compressionPolicySpec.parse(spec));
  assert.equal(text({}), "pods with loretoken.dev/policy");
  assert.equal(text({ podSelector: {} }), "all pods");
  assert.equal(
    text({
      podSelector: { matchLabels: { app: "train" } },
      namespaceSelector: { matchLabels: { team: "ml" } },
      nodeSelector: { matchExpressions: [{ key: "gpu", operator: "NotIn", values: ["t4", "l4"] }] },
    }),
    "app=train in namespaces team=ml on nodes gpu notin (t4,l4)",
  );
});
