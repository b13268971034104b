/** Of any set of policies and pods: what must hold of the one that applies, said without the resolver's own steps. */
import assert from "node:assert/strict";
import test from "node:test";
import { type LabelSelector, selectorMatches } from "../label-selector.ts";
import { annotations } from "../names.ts";
import { pick, type Random, randomFrom } from "../testing/random.ts";
import { type CompressionPolicy, compressionPolicy } from "./compression-policy.ts";
import { comparePolicies, orderPolicies } from "./order.ts";
import { nodePolicyFor, type PodPolicy, policyFor, type Selectable, saysForNodes } from "./resolve.ts";

const rounds = 3000;

function randomPolicies(random: Random): CompressionPolicy[] {
  const selector = (): object => {
    const roll = random();
    if (roll < 0.4) return {};
    if (roll < 0.7) return { matchLabels: { a: pick(random, ["1", "2"]) } };
    const operator = pick(random, ["In", "NotIn", "Exists", "DoesNotExist"]);
    const values = operator.endsWith("In") ? { values: [pick(random, ["1", "2"])] } : {};
    return { matchExpressions: [{ key: pick(random, ["a", "b"]), operator, ...values }] };
  };
  return Array.from({ length: Math.floor(random() * 6) }, (_, at) =>
    compressionPolicy.parse({
      metadata: {
        name: `${pick(random, ["x", "y"])}${at}`,
        ...(random() < 0.8 ? { creationTimestamp: `2026-01-0${1 + Math.floor(random() * 3)}T00:00:00Z` } : {}),
      },
      spec: {
        ...(random() < 0.8 ? { podSelector: selector() } : {}),
        namespaceSelector: selector(),
        nodeSelector: selector(),
        priority: Math.floor(random() * 3),
        suspend: random() < 0.2,
        ...(random() < 0.5 ? { expansion: 2 } : {}),
      },
    }),
  );
}

function randomObject(random: Random, names: readonly string[]): Selectable {
  const labels: Record<string, string> = {};
  if (random() < 0.7) labels.a = pick(random, ["1", "2"]);
  if (random() < 0.5) labels.b = pick(random, ["1", "2"]);
  const annotation = random() < 0.3 ? { annotations: { [annotations.policy]: pick(random, [...names, "none"]) } } : {};
  return { metadata: { labels, ...annotation } };
}

function shuffled<T>(random: Random, list: readonly T[]): T[] {
  return list
    .map((value) => ({ value, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

/** A pod where it is, and what is found of it. */
interface Case {
  readonly policies: readonly CompressionPolicy[];
  readonly name: string | undefined;
  readonly found: PodPolicy;
  /** By namespace and node. */
  readonly bound: (policy: CompressionPolicy) => boolean;
  /** By all three selectors. */
  readonly selects: (policy: CompressionPolicy) => boolean;
}

function randomCase(random: Random): Case {
  const policies = randomPolicies(random);
  const names = policies.map(({ metadata }) => metadata.name);
  const [pod, namespace] = [randomObject(random, names), randomObject(random, [])];
  const node = random() < 0.9 ? randomObject(random, []) : undefined;
  const found = policyFor(pod, namespace, node, orderPolicies(policies));
  assert.deepEqual(policyFor(pod, namespace, node, orderPolicies(shuffled(random, policies))), found);
  const onNode = (selector: LabelSelector): boolean =>
    node === undefined ? Object.keys(selector).length === 0 : selectorMatches(selector, node.metadata?.labels);
  const bound = ({ spec }: CompressionPolicy): boolean =>
    selectorMatches(spec.namespaceSelector, namespace.metadata?.labels) && onNode(spec.nodeSelector);
  const selects = (one: CompressionPolicy): boolean =>
    bound(one) && selectorMatches(one.spec.podSelector, pod.metadata?.labels);
  return { policies, name: pod.metadata?.annotations?.[annotations.policy], found, bound, selects };
}

/** It may apply, and nobody that selects the pod comes before it. */
function checkApplies({ name, found, bound, selects }: Case): void {
  if (found.kind !== "applies") return;
  assert.ok(!found.policy.spec.suspend && bound(found.policy));
  assert.equal(found.by, name === undefined ? "selectors" : "annotation");
  if (name !== undefined) assert.equal(found.policy.metadata.name, name);
  else assert.ok(selects(found.policy) && found.overruled.every((other) => comparePolicies(found.policy, other) < 0));
}

/** Only then. */
function checkDoesNotApply({ policies, name, found, bound, selects }: Case): void {
  if (found.kind === "applies") return;
  const named = policies.find(({ metadata }) => metadata.name === name);
  const could = name === undefined ? policies.filter(selects) : policies.filter((one) => one === named && bound(one));
  assert.ok(could.every(({ spec }) => spec.suspend));
  assert.equal(found.kind === "none", name === undefined);
  assert.equal(found.kind === "unknown", name !== undefined && named === undefined);
}

/** Who selects the pod is told once: as the one chosen, as overruled, or as suspended; each list in order. */
function checkTold({ policies, name, found, selects }: Case): void {
  const { overruled, suspended } = found;
  const chosen = "policy" in found ? [found.policy] : [];
  for (const one of policies) {
    const told = [...chosen, ...overruled, ...suspended].filter((other) => other === one).length;
    assert.ok(selects(one) ? told === 1 : told === 0 || one.metadata.name === name);
  }
  assert.ok(overruled.every(({ spec }) => !spec.suspend) && suspended.every(({ spec }) => spec.suspend));
  for (const list of [overruled, suspended]) assert.deepEqual(list.toSorted(comparePolicies), list);
}

test("of pods: one policy at most, the first in force, whatever the order they are read in", () => {
  const random = randomFrom(1);
  const seen = new Map<string, number>();
  for (let round = 0; round < rounds; ++round) {
    const one = randomCase(random);
    for (const check of [checkApplies, checkDoesNotApply, checkTold]) check(one);
    seen.set(one.found.kind, (seen.get(one.found.kind) ?? 0) + 1);
  }
  for (const kind of ["applies", "none", "unknown", "suspended", "outside"]) {
    assert.ok((seen.get(kind) ?? 0) > 20, `too few of ${kind} to tell: ${JSON.stringify([...seen])}`);
  }
});

test("of nodes: the first in force that selects the node and says something for nodes", () => {
  const random = randomFrom(2);
  for (let round = 0; round < rounds; ++round) {
    const policies = randomPolicies(random);
    const node = randomObject(random, []);
    const found = nodePolicyFor(node, orderPolicies(shuffled(random, policies)));
    const fits = policies.filter(
      ({ spec }) => saysForNodes(spec) && selectorMatches(spec.nodeSelector, node.metadata?.labels),
    );
    const best = fits
      .filter(({ spec }) => !spec.suspend)
      .reduce<CompressionPolicy | undefined>(
        (a, b) => (a === undefined || comparePolicies(b, a) < 0 ? b : a),
        undefined,
      );
    assert.equal(found.policy, best);
    assert.equal(found.overruled.length + found.suspended.length + (best === undefined ? 0 : 1), fits.length);
  }
});

test("the order is one: antisymmetric, transitive, and 0 for the same name alone", () => {
  const random = randomFrom(3);
  for (let round = 0; round < rounds; ++round) {
    const policies = randomPolicies(random);
    if (policies.length === 0) continue;
    const [a, b, c] = [pick(random, policies), pick(random, policies), pick(random, policies)];
    const sign = (one: CompressionPolicy, other: CompressionPolicy): number => Math.sign(comparePolicies(one, other));
    assert.equal(sign(a, b) + sign(b, a), 0);
    assert.equal(sign(a, b) === 0, a === b);
    if (sign(a, b) < 0 && sign(b, c) < 0) assert.equal(sign(a, c), -1);
  }
});
