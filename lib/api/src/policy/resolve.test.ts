import assert from "node:assert/strict";
import test from "node:test";
import { annotations } from "../names.ts";
import { type CompressionPolicy, compressionPolicy } from "./compression-policy.ts";
import { orderPolicies } from "./order.ts";
import { nodePolicyFor, policyFor, type Selectable } from "./resolve.ts";

function policyOf(name: string, spec: object = {}, creationTimestamp?: string): CompressionPolicy {
  const metadata = { name, ...(creationTimestamp === undefined ? {} : { creationTimestamp }) };
  return compressionPolicy.parse({ metadata, spec });
}

const labelled = (labels: Record<string, string>): Selectable => ({ metadata: { labels } });
const naming = (name: string, labels = {}): Selectable => ({
  metadata: { labels, annotations: { [annotations.policy]: name } },
});
const train = labelled({ app: "train" });
const namespace = labelled({ team: "ml" });
const node = labelled({ gpu: "h200" });

/** The answer in one line. */
function told(pod: Selectable, policies: CompressionPolicy[], on: Selectable | undefined = node): string {
  const found = policyFor(pod, namespace, on, orderPolicies(policies));
  const names = (list: readonly CompressionPolicy[]): string => list.map(({ metadata }) => metadata.name).join(",");
  const what = {
    applies: () => (found.kind === "applies" ? `${found.policy.metadata.name} by ${found.by}` : ""),
    none: () => "none",
    unknown: () => (found.kind === "unknown" ? `unknown ${found.name}` : ""),
    suspended: () => (found.kind === "suspended" ? `suspended ${found.policy.metadata.name}` : ""),
    outside: () => (found.kind === "outside" ? `outside ${found.policy.metadata.name} by ${found.selector}` : ""),
  }[found.kind]();
  return `${what}; overruled ${names(found.overruled)}; suspended ${names(found.suspended)}`;
}

const all = { podSelector: {} };

test("the highest priority, then the oldest, then the first name; the order of the list says nothing", () => {
  const policies = [
    policyOf("low", { ...all, priority: 1 }, "2026-01-01T00:00:00Z"),
    policyOf("b", { ...all, priority: 5 }, "2026-01-02T00:00:00Z"),
    policyOf("a", { ...all, priority: 5 }, "2026-01-02T00:00:00Z"),
    policyOf("old", { ...all, priority: 5 }, "2026-01-01T23:59:59Z"),
    policyOf("unborn", { ...all, priority: 5 }),
  ];
  const expected = "old by selectors; overruled a,b,unborn,low; suspended ";
  assert.equal(told(train, policies), expected);
  assert.equal(told(train, policies.toReversed()), expected);
});

test("names go by code unit, not by any language", () => {
  assert.equal(told(train, [policyOf("a1", all), policyOf("a-b", all)]), "a-b by selectors; overruled a1; suspended ");
});

test("all three selectors must match", () => {
  const here = { podSelector: { matchLabels: { app: "train" } } };
  const spec = (more: object): CompressionPolicy[] => [policyOf("p", { ...here, ...more })];
  assert.match(told(train, spec({})), /^p by selectors/);
  assert.match(told(labelled({ app: "serve" }), spec({})), /^none/);
  assert.match(told(train, spec({ namespaceSelector: { matchLabels: { team: "vision" } } })), /^none/);
  assert.match(told(train, spec({ nodeSelector: { matchLabels: { gpu: "l4" } } })), /^none/);
  assert.match(told(train, spec({ nodeSelector: { matchLabels: { gpu: "h200" } } })), /^p by selectors/);
});

test("a pod on no node yet goes by policies for all nodes", () => {
  const policies = [
    policyOf("some", { ...all, nodeSelector: { matchExpressions: [{ key: "gpu", operator: "Exists" }] } }),
    policyOf("without", { ...all, nodeSelector: { matchExpressions: [{ key: "gpu", operator: "DoesNotExist" }] } }),
    policyOf("z-every", all),
  ];
  const found = policyFor(train, namespace, undefined, orderPolicies(policies));
  assert.equal(found.kind === "applies" ? found.policy.metadata.name : found.kind, "z-every");
});

test("suspended policies apply to nothing and are told", () => {
  const policies = [policyOf("first", { ...all, priority: 9, suspend: true }), policyOf("next", all)];
  assert.equal(told(train, policies), "next by selectors; overruled ; suspended first");
  assert.equal(told(train, policies.slice(0, 1)), "none; overruled ; suspended first");
});

test("a policy without podSelector is for pods that name it", () => {
  const policies = [policyOf("named"), policyOf("z-all", all)];
  assert.equal(told(train, policies), "z-all by selectors; overruled ; suspended ");
  assert.equal(told(naming("named"), policies), "named by annotation; overruled z-all; suspended ");
});

test("a name goes before priority and podSelector, and is overruled by nothing", () => {
  const policies = [
    policyOf("strong", { ...all, priority: 9 }),
    policyOf("weak", { podSelector: { matchLabels: { app: "other" } } }),
  ];
  assert.equal(told(naming("weak"), policies), "weak by annotation; overruled strong; suspended ");
  assert.equal(told(naming("strong"), policies), "strong by annotation; overruled ; suspended ");
});

test("a name that cannot be followed is told, and no other policy stands in for it", () => {
  const policies = [
    policyOf("all", all),
    policyOf("asleep", { ...all, suspend: true }),
    policyOf("theirs", { namespaceSelector: { matchLabels: { team: "vision" } } }),
    policyOf("elsewhere", { nodeSelector: { matchLabels: { gpu: "l4" } } }),
  ];
  assert.equal(told(naming("nobody"), policies), "unknown nobody; overruled all; suspended asleep");
  assert.equal(told(naming(""), policies), "unknown ; overruled all; suspended asleep");
  assert.equal(told(naming("constructor"), policies), "unknown constructor; overruled all; suspended asleep");
  assert.equal(told(naming("asleep"), policies), "suspended asleep; overruled all; suspended ");
  assert.equal(
    told(naming("theirs"), policies),
    "outside theirs by namespaceSelector; overruled all; suspended asleep",
  );
  assert.equal(
    told(naming("elsewhere"), policies),
    "outside elsewhere by nodeSelector; overruled all; suspended asleep",
  );
});

test("a node goes by the first policy that selects it and says something for nodes", () => {
  const policies = orderPolicies([
    policyOf("pods-only", { ...all, priority: 9 }),
    policyOf("asleep", { expansion: 4, priority: 8, suspend: true }),
    policyOf("l4", { expansion: 3, priority: 7, nodeSelector: { matchLabels: { gpu: "l4" } } }),
    policyOf("h200", {
      guardrails: { thermal: { maxCelsius: 80 } },
      priority: 6,
      nodeSelector: { matchLabels: { gpu: "h200" } },
    }),
    policyOf("reserve", { physicalReserve: "2Gi" }),
    policyOf("watts", { guardrails: { power: { maxWatts: 600 } } }),
  ]);
  const names = (list: readonly CompressionPolicy[]): string[] => list.map(({ metadata }) => metadata.name);
  const found = nodePolicyFor(node, policies);
  assert.equal(found.policy?.metadata.name, "h200");
  assert.deepEqual([names(found.overruled), names(found.suspended)], [["reserve", "watts"], ["asleep"]]);
  assert.equal(nodePolicyFor(labelled({ gpu: "l4" }), policies).policy?.metadata.name, "l4");
  assert.equal(nodePolicyFor(node, orderPolicies([])).policy, undefined);
});
