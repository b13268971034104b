import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { annotations, policyFor } from "@loretoken/api";
import { TestCluster } from "../testing/cluster.ts";
import { recordingLog } from "../testing/log.ts";
import { until } from "../testing/node.ts";
import { PolicySources } from "./sources.ts";

const all = { podSelector: {} };

async function follow(t: TestContext, cluster = new TestCluster()) {
  await cluster.start();
  const client = cluster.client();
  const log = recordingLog();
  const sources = new PolicySources({ client, node: "n1", log });
  const ending = new AbortController();
  let changes = 0;
  const running = sources.run(() => {
    changes += 1;
  }, ending.signal);
  t.after(async () => {
    ending.abort();
    await running;
    client.close();
    await cluster.stop();
  });
  const known = () => until("policies and the node are known", () => sources.picture() !== undefined);
  return { cluster, sources, log, known, changes: () => changes };
}

test("it watches its own node and its pods alone, and of them keeps what decides", async (t) => {
  const cluster = new TestCluster();
  cluster.put("nodes", "n1", { metadata: { labels: { gpu: "h200" } }, status: { images: ["large"] } });
  cluster.put("nodes", "n2");
  const noted = { [annotations.policy]: "p", other: "large" };
  cluster.put("pods", "here", {
    metadata: { namespace: "team", labels: { app: "train" }, annotations: noted },
    spec: { nodeName: "n1" },
  });
  cluster.put("pods", "there", { metadata: { namespace: "team" }, spec: { nodeName: "n2" } });
  const { sources, known } = await follow(t, cluster);
  await known();
  await until("the pod is known", () => sources.picture()?.pod("team", "here") !== undefined);
  const watched = ["compressionpolicies", "pods spec.nodeName=n1", "nodes metadata.name=n1"];
  await until("all are watched", () => watched.every((what) => cluster.asked.includes(`watch ${what}`)));
  const picture = sources.picture();
  assert.deepEqual(picture?.node, { metadata: { labels: { gpu: "h200" } } });
  const { uid: _, ...pod } = picture?.pod("team", "here") ?? {};
  assert.deepEqual(pod, { metadata: { labels: { app: "train" }, annotations: { [annotations.policy]: "p" } } });
  assert.equal(picture?.pod("team", "there"), undefined);
  assert.deepEqual(new Set(cluster.asked), new Set(watched.flatMap((what) => [`list ${what}`, `watch ${what}`])));
});

test("namespaces are watched from the first policy on that asks for more than their names", async (t) => {
  const cluster = new TestCluster();
  cluster.put("nodes", "n1");
  cluster.put("namespaces", "team", { metadata: { labels: { tier: "gold" } } });
  const byName = { matchExpressions: [{ key: "kubernetes.io/metadata.name", operator: "In", values: ["team"] }] };
  cluster.put("compressionpolicies", "named", { spec: { ...all, namespaceSelector: byName } });
  const { sources, known } = await follow(t, cluster);
  await known();
  const applies = (): string => {
    const picture = sources.picture();
    const namespace = picture?.namespace("team");
    if (picture === undefined || namespace === undefined) return "unknown";
    const found = policyFor({}, namespace, picture.node, picture.policies);
    return found.kind === "applies" ? found.policy.metadata.name : found.kind;
  };
  await until("by the name alone", () => applies() === "named");
  assert.ok(!cluster.asked.some((line) => line.includes("namespaces")));
  cluster.put("compressionpolicies", "gold", {
    spec: { ...all, namespaceSelector: { matchLabels: { tier: "gold" } }, priority: 1 },
  });
  await until("by its labels", () => applies() === "gold");
  cluster.put("namespaces", "team", { metadata: { labels: { tier: "silver" } } });
  await until("by its other labels", () => applies() !== "gold");
});

test("a policy of another version is skipped, told once, and taken when it is understood", async (t) => {
  const cluster = new TestCluster();
  cluster.put("nodes", "n1");
  const odd = { spec: { ...all, mode: "turbo" } };
  cluster.put("compressionpolicies", "odd", odd);
  cluster.put("compressionpolicies", "newer", { spec: { ...all, somethingNew: { a: 1 } } });
  const { sources, known, log } = await follow(t, cluster);
  await known();
  const names = () => sources.picture()?.policies.inOrder.map(({ metadata }) => metadata.name);
  assert.deepEqual(names(), ["newer"], "fields that are not known are no reason");
  assert.deepEqual(sources.picture()?.unreadable, new Set(["odd"]));
  cluster.put("compressionpolicies", "odd", { ...odd, metadata: { labels: { touched: "yes" } } });
  cluster.put("compressionpolicies", "later", { spec: all });
  await until("it has come to the last", () => names()?.includes("later") === true);
  const told = log.lines.filter(({ message }) => message === "CompressionPolicy skipped");
  assert.deepEqual(
    told.map(({ fields: { policy, generation } }) => [policy, generation]),
    [["odd", 1]],
  );
  cluster.put("compressionpolicies", "odd", { spec: all });
  await until("it is understood", () => names()?.includes("odd") === true);
  assert.equal(sources.picture()?.unreadable.size, 0);
});

test("while the API server is away all stays known, and what changed meanwhile is heard after", async (t) => {
  const cluster = new TestCluster();
  cluster.put("nodes", "n1");
  cluster.put("compressionpolicies", "goes", { spec: all });
  cluster.put("compressionpolicies", "stays", { spec: all });
  const { sources, known, log, changes } = await follow(t, cluster);
  await known();
  await cluster.stop();
  cluster.delete("compressionpolicies", "goes");
  cluster.put("compressionpolicies", "stays", { spec: { ...all, mode: "hold" } });
  cluster.forget();
  await until("it is told", () => log.messages.includes("API server not followed"));
  assert.equal(sources.picture()?.policies.inOrder.length, 2);
  const before = changes();
  await cluster.start();
  await until("it is as it is now", () => sources.picture()?.policies.inOrder[0]?.spec.mode === "hold");
  assert.deepEqual([...(sources.picture()?.policies.byName.keys() ?? [])], ["stays"]);
  assert.ok(changes() > before);
});
