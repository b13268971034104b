import assert from "node:assert/strict";
import test from "node:test";
import { annotations, type CompressionPolicy, compressionPolicy, orderPolicies } from "@loretoken/api";
import { loadConfig } from "../config/load.ts";
import { GiB } from "../testing/fixtures.ts";
import { decideContainer, decideNode, type Picture } from "./decide.ts";
import { policyNumber } from "./number.ts";
import { namedNamespace, type PodRow } from "./rows.ts";

const owner = { namespace: "team", pod: "train", podUid: "u-1", container: "main" };
const all = { podSelector: {} };

function ownOf(words: string[] = []) {
  const loaded = loadConfig(words);
  assert.ok("config" in loaded);
  return loaded.config;
}

function policyOf(name: string, spec: object, generation = 1): CompressionPolicy {
  return compressionPolicy.parse({ metadata: { name, uid: `uid-of-${name}`, generation }, spec });
}

function podOf(labels: Record<string, string> = {}, noted: Record<string, string> = {}): PodRow {
  return { uid: "u-1", metadata: { labels, annotations: noted } };
}

function picture(policies: CompressionPolicy[], changes: Partial<Picture> = {}): Picture {
  return {
    policies: orderPolicies(policies),
    unreadable: new Set(),
    node: { metadata: { labels: { gpu: "h200" } } },
    pod: () => podOf({ app: "train" }),
    namespace: namedNamespace,
    ...changes,
  };
}

function decide(seen: Picture, own = ownOf(), holding: { owner?: typeof owner } = { owner }) {
  return decideContainer(own, decideNode(own, seen), holding, seen);
}

test("a container goes by the policy that selects its pod, with its name and generation", () => {
  const policy = policyOf("careful", { ...all, mode: "hold", codecs: { allow: ["constant"] } }, 7);
  const decision = decide(picture([policy]));
  assert.deepEqual(
    [decision?.policy, decision?.generation, decision?.reason, decision?.block?.mode, decision?.block?.codecs],
    ["careful", 7, "Applied", "hold", ["constant"]],
  );
  assert.equal(decision?.block?.policyGeneration, policyNumber(policy.metadata));
});

test("the number tells policies and generations apart, and is the same from any agent", () => {
  const number = policyNumber({ uid: "7f3b", generation: 5 });
  assert.equal(number, policyNumber({ uid: "7f3b", generation: 5 }));
  assert.equal(number % 2 ** 21, 5);
  assert.notEqual(number, policyNumber({ uid: "7f3b", generation: 6 }));
  assert.notEqual(number, policyNumber({ uid: "7f3c", generation: 5 }));
  assert.ok(Number.isSafeInteger(policyNumber({ uid: "codding", generation: 2 ** 21 - 1 })));
});

test("the first in order applies; when it goes the next one does, then the settings", () => {
  const [low, high] = [
    policyOf("low", { ...all, priority: 1 }),
    policyOf("high", { ...all, priority: 2, verify: "off" }),
  ];
  assert.equal(decide(picture([low, high]))?.policy, "high");
  assert.equal(decide(picture([low]))?.policy, "low");
  assert.deepEqual(decide(picture([])), { policy: "", generation: 0, reason: "None", block: undefined });
});

test("a suspended policy applies to nothing and is named all the same", () => {
  const suspended = policyOf("waits", { ...all, suspend: true, expansion: 2 }, 3);
  assert.deepEqual(decide(picture([suspended])), {
    policy: "waits",
    generation: 3,
    reason: "Suspended",
    block: undefined,
  });
  const { policy, reason, shares } = decideNode(ownOf(), picture([suspended]));
  assert.deepEqual([policy, reason, shares.expansion], ["waits", "Suspended", 1.5]);
  const other = policyOf("serves", { ...all, priority: -1, expansion: 3 });
  assert.equal(decide(picture([suspended, other]))?.policy, "serves");
  assert.equal(decideNode(ownOf(), picture([suspended, other])).shares.expansion, 3);
});

test("a name that cannot be followed is told with its reason", () => {
  const naming = (name: string): Partial<Picture> => ({ pod: () => podOf({}, { [annotations.policy]: name }) });
  const policies = [
    policyOf("elsewhere", { nodeSelector: { matchLabels: { gpu: "l4" } } }),
    policyOf("others", { namespaceSelector: { matchLabels: { team: "vision" } } }),
    policyOf("waits", { suspend: true }),
    policyOf("mine", {}),
  ];
  const reason = (name: string, more: Partial<Picture> = {}) => {
    const found = decide(picture(policies, { ...naming(name), ...more }));
    return [found?.policy, found?.reason, found?.block === undefined];
  };
  assert.deepEqual(reason("mine"), ["mine", "Applied", false]);
  assert.deepEqual(reason("missing"), ["missing", "UnknownPolicy", true]);
  assert.deepEqual(reason("missing", { unreadable: new Set(["missing"]) }), ["missing", "UnreadablePolicy", true]);
  assert.deepEqual(reason("elsewhere"), ["elsewhere", "OutsideNodeSelector", true]);
  assert.deepEqual(reason("others"), ["others", "OutsideNamespaceSelector", true]);
  assert.deepEqual(reason("waits"), ["waits", "Suspended", true]);
});

test("labels of pod, namespace and node decide, each as it is now", () => {
  const selecting = [
    policyOf("p", {
      podSelector: { matchLabels: { app: "train" } },
      namespaceSelector: { matchLabels: { tier: "gold" } },
      nodeSelector: { matchLabels: { gpu: "h200" } },
    }),
  ];
  const namespace = (tier: string) => () => ({ metadata: { labels: { tier } } });
  const reason = (changes: Partial<Picture>) =>
    decide(picture(selecting, { namespace: namespace("gold"), ...changes }))?.reason;
  assert.equal(reason({}), "Applied");
  assert.equal(reason({ pod: () => podOf({ app: "serve" }) }), "None");
  assert.equal(reason({ namespace: namespace("silver") }), "None");
  assert.equal(reason({ node: { metadata: { labels: { gpu: "l4" } } } }), "None");
});

test("what is not known yet decides nothing: no owner, no pod, another pod of the name, no namespace", () => {
  const policies = [policyOf("p", all)];
  assert.equal(decide(picture(policies), ownOf(), {}), undefined);
  assert.equal(decide(picture(policies, { pod: () => undefined })), undefined);
  assert.equal(decide(picture(policies, { pod: () => ({ ...podOf(), uid: "u-2" }) })), undefined);
  assert.equal(decide(picture(policies, { namespace: () => undefined })), undefined);
  const unnamed = { owner: { ...owner, podUid: "" } };
  assert.equal(decide(picture(policies), ownOf(), unnamed)?.reason, "Applied", "its UID is learnt later");
});

test("the pod's annotation mode off holds with and without a policy, and never makes it stricter otherwise", () => {
  const noted = (mode: string): Partial<Picture> => ({ pod: () => podOf({}, { [annotations.mode]: mode }) });
  assert.equal(decide(picture([policyOf("p", all)], noted("off")))?.block?.mode, "off");
  const without = decide(picture([], noted("off")));
  assert.deepEqual([without?.reason, without?.block?.mode], ["None", "off"]);
  assert.equal(decide(picture([policyOf("p", { ...all, mode: "hold" })], noted("full")))?.block?.mode, "hold");
  assert.equal(decide(picture([], noted("full")))?.block, undefined);
});

test("limits of heat and power are the node's; what a policy leaves out is the agent's own", () => {
  const own = ownOf(["--max-temperature", "85", "--max-power-percent", "90", "--host-limit", "1GiB"]);
  const hot = policyOf("cool", { guardrails: { thermal: { marginCelsius: 4 } } });
  const node = decideNode(own, picture([hot]));
  assert.deepEqual(
    [node.limits.maxTemperature, node.limits.minTemperatureMargin, node.limits.maxPowerPercent],
    [undefined, 4, 90],
  );
  const watts = decideNode(own, picture([policyOf("w", { guardrails: { power: { maxWatts: 500 } } })]));
  assert.deepEqual(
    [watts.limits.maxTemperature, watts.limits.maxPowerPercent, watts.limits.maxPowerMilliwatts],
    [85, undefined, 500_000],
  );
  assert.deepEqual([watts.defaults.maxPowerMilliwatts, watts.defaults.maxPowerPermille], [500_000, undefined]);
  const pods = policyOf("pods", { ...all, priority: 5 });
  const block = decide(picture([hot, pods]), own)?.block;
  assert.deepEqual(
    [block?.maxTemperature, block?.maxPowerPermille, block?.hostLimit],
    [{ marginMilliCelsius: 4000 }, 900, GiB],
  );
});

test("expansion and reserve come from the first policy that says something for nodes", () => {
  const policies = [
    policyOf("pods", { ...all, priority: 9 }),
    policyOf("nodes", { expansion: 2.5, physicalReserve: "6Gi" }, 4),
  ];
  const { policy, generation, reason, shares } = decideNode(ownOf(), picture(policies));
  assert.deepEqual([policy, generation, reason], ["nodes", 4, "Applied"]);
  assert.deepEqual(shares, { expansion: 2.5, reserve: { bytes: 6n * GiB } });
  const none = decideNode(ownOf(), picture([policies[0] as CompressionPolicy]));
  assert.deepEqual([none.policy, none.reason, none.shares.reserve], ["", "None", { permille: 40 }]);
});
