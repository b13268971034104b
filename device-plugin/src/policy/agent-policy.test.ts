/** The agent with policies: control files, lists for the kubelet, guardrails and what it says of them. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { annotations } from "@loretoken/api";
import { inject } from "@loretoken/nvml/testing";
import { readControl } from "@loretoken/telemetry/control";
import type { Agent } from "../agent.ts";
import { TestCluster } from "../testing/cluster.ts";
import { nodeOf, pod, type TestNode, until } from "../testing/node.ts";
import { PolicySources } from "./sources.ts";

const all = { podSelector: {} };
const units = 7;

interface Site {
  readonly node: TestNode;
  readonly cluster: TestCluster;
  readonly agent: Agent;
  /** Another one in its place. */
  again(more?: string[]): Promise<Agent>;
}

async function site(t: TestContext, more: string[] = []): Promise<Site> {
  const node = nodeOf(t);
  const cluster = await new TestCluster().start();
  cluster.put("nodes", "n1", { metadata: { labels: { gpu: "h200" } } });
  const clients = [cluster.client(), cluster.client()];
  t.after(async () => {
    await node.end();
    for (const client of clients) client.close();
    await cluster.stop();
  });
  const world = (client = clients[0]) => {
    assert.ok(client);
    return {
      policies: new PolicySources({ client, node: "n1", log: node.log }),
      podUid: async (_: string, name: string) => `uid-of-${name}`,
    };
  };
  const { agent } = await node.started(more, world());
  const again = async (more: string[] = []): Promise<Agent> => {
    await agent.stop();
    const next = node.agent(more, world(clients[1]));
    await next.start();
    return next;
  };
  return { node, cluster, agent, again };
}

function place(cluster: TestCluster, name: string, fields: { labels?: object; annotations?: object } = {}): void {
  cluster.put("pods", name, {
    metadata: { namespace: "default", uid: `uid-of-${name}`, ...fields },
    spec: { nodeName: "n1" },
  });
}

async function run({ node, cluster, agent }: Site, name: string, fields = {}): Promise<string> {
  place(cluster, name, fields);
  await node.kubelet.run(pod(name, units));
  await until("the owner is known", () => agent.holdings().some(({ owner }) => owner?.pod === name));
  return agent.holdings().find(({ owner }) => owner?.pod === name)?.control ?? "";
}

const modeOf = (control: string): string => readControl(control).mode;

test("a container follows its policy: made, changed, overruled, renamed, suspended, deleted", async (t) => {
  const here = await site(t);
  const { cluster, agent } = here;
  const control = await run(here, "p", { labels: { app: "train" } });
  const follows = (what: string, mode: string, policy: string) =>
    until(what, () => {
      const id = agent.holdings()[0]?.id ?? "";
      return modeOf(control) === mode && agent.policies()?.container(id)?.policy === policy;
    });
  assert.equal(readControl(control).policyGeneration, 0);
  cluster.put("compressionpolicies", "first", { spec: { ...all, mode: "hold", codecs: { allow: ["constant"] } } });
  await follows("made", "hold", "first");
  const numbers = [readControl(control).policyGeneration];
  assert.deepEqual(readControl(control).codecs, ["constant"]);
  cluster.put("compressionpolicies", "first", { spec: { ...all, mode: "off" } });
  await follows("changed", "off", "first");
  numbers.push(readControl(control).policyGeneration);
  cluster.put("compressionpolicies", "second", { spec: { ...all, priority: 5 } });
  await follows("overruled", "full", "second");
  numbers.push(readControl(control).policyGeneration);
  assert.equal(new Set(numbers).size, 3, "each policy and generation has a number of its own");
  cluster.delete("compressionpolicies", "second");
  cluster.put("compressionpolicies", "renamed", { spec: { ...all, priority: 5, mode: "hold" } });
  await follows("renamed", "hold", "renamed");
  cluster.put("compressionpolicies", "renamed", { spec: { ...all, priority: 5, mode: "hold", suspend: true } });
  await follows("suspended: the next one applies", "off", "first");
  cluster.delete("compressionpolicies", "first");
  await follows("nothing applies", "full", "renamed");
  assert.equal(agent.policies()?.container(agent.holdings()[0]?.id ?? "")?.reason, "Suspended");
  assert.equal(readControl(control).policyGeneration, 0);
  assert.ok((agent.policies()?.deliverySeconds ?? 9) < 1);
});

test("a container that starts goes by its policy at once, though rounds are far apart", async (t) => {
  const here = await site(t, ["--reconcile-seconds=600", "--guard-seconds=60"]);
  const { cluster } = here;
  cluster.put("compressionpolicies", "first", { spec: { ...all, mode: "hold" } });
  const start = performance.now();
  const control = await run(here, "p");
  await until("it follows", () => modeOf(control) === "hold");
  assert.ok(performance.now() - start < 10_000);
});

test("labels of the pod, of its namespace and of the node decide as they change, for this container alone", async (t) => {
  const here = await site(t);
  const { cluster } = here;
  cluster.put("namespaces", "default", { metadata: { labels: { tier: "gold" } } });
  cluster.put("compressionpolicies", "p", {
    spec: {
      podSelector: { matchLabels: { app: "train" } },
      namespaceSelector: { matchLabels: { tier: "gold" } },
      nodeSelector: { matchLabels: { gpu: "h200" } },
      mode: "hold",
    },
  });
  const other = await run(here, "other");
  const control = await run(here, "p");
  const becomes = (what: string, mode: string) => until(what, () => modeOf(control) === mode);
  place(cluster, "p", { labels: { app: "train" } });
  await becomes("its label was set", "hold");
  cluster.put("namespaces", "default", { metadata: { labels: { tier: "silver" } } });
  await becomes("the namespace's label is another", "full");
  cluster.put("namespaces", "default", { metadata: { labels: { tier: "gold" } } });
  await becomes("the namespace's label is back", "hold");
  cluster.put("nodes", "n1", { metadata: { labels: {} } });
  await becomes("the node's label is gone", "full");
  cluster.put("nodes", "n1", { metadata: { labels: { gpu: "h200" } } });
  await becomes("the node's label is back", "hold");
  place(cluster, "p", { labels: { app: "train" }, annotations: { [annotations.mode]: "off" } });
  await becomes("the pod asked for off", "off");
  assert.equal(modeOf(other), "full");
});

test("the node's expansion goes up and down; what is held stays, and it survives the agent", async (t) => {
  const here = await site(t);
  const { node, cluster, agent } = here;
  await run(here, "p");
  const [held] = agent.holdings();
  const offered = () => node.kubelet.lists.at(-1)?.devices.filter(({ ID }) => ID.startsWith("0-")).length;
  assert.equal(offered(), 35);
  cluster.put("compressionpolicies", "wide", { spec: { expansion: 3 } });
  // Of 71 units that the card would have: what the memory not promised yet backs at that ratio, and those held.
  await until("more is offered", () => offered() === 63);
  assert.deepEqual(agent.policies()?.node, { policy: "wide", generation: 1, reason: "Applied" });
  cluster.put("compressionpolicies", "wide", { spec: { expansion: 1, physicalReserve: "20Gi" } });
  await until("no more than is held", () => offered() === units);
  assert.deepEqual(agent.holdings()[0]?.guaranteed, held?.guaranteed);
  cluster.put("compressionpolicies", "wide", { spec: { expansion: 2 } });
  await until("more is offered again", () => (offered() ?? 0) > 35);
  const before = offered();
  await cluster.stop();
  const lists = node.kubelet.lists.length;
  const next = await here.again();
  await until("the next one's list", () => node.kubelet.lists.length > lists);
  assert.equal(offered(), before, "the first list already, with no API server");
  assert.equal(next.policies()?.node, undefined);
  cluster.delete("compressionpolicies", "wide");
  await cluster.start();
  await until("the settings hold", () => offered() === 35);
});

test("limits of the node's policy make guardrails act, and their end lets go", async (t) => {
  const here = await site(t);
  const { cluster } = here;
  const control = await run(here, "p");
  await inject("power_watts.0=500", "temperature.0=70");
  const verdict = () => readControl(control).devices[0]?.verdict;
  cluster.put("compressionpolicies", "cool", { spec: { guardrails: { power: { maxWatts: 400 } } } });
  await until("power", () => verdict()?.guard === "power");
  assert.deepEqual([verdict()?.figure, verdict()?.limit], [500_000, 400_000]);
  assert.equal(readControl(control).maxPowerMilliwatts, 400_000);
  cluster.put("compressionpolicies", "cool", { spec: { guardrails: { thermal: { maxCelsius: 60 } } } });
  await until("the block has the other limit", () => readControl(control).maxTemperature !== undefined);
  assert.equal(readControl(control).maxPowerMilliwatts, undefined);
});

test("an agent that starts without an API server leaves containers their policy, and follows when it comes", async (t) => {
  const here = await site(t);
  const { node, cluster, agent } = here;
  cluster.put("compressionpolicies", "first", { spec: { ...all, mode: "hold" } });
  const control = await run(here, "p");
  await until("it follows", () => modeOf(control) === "hold");
  await until("the owner is on record", () => agent.holdings()[0]?.owner?.podUid === "uid-of-p");
  const number = readControl(control).policyGeneration;
  await cluster.stop();
  const next = await here.again();
  const beat = readControl(control).heartbeat ?? 0n;
  await until("the new agent writes", () => (readControl(control).heartbeat ?? 0n) > beat);
  assert.deepEqual([modeOf(control), readControl(control).policyGeneration], ["hold", number]);
  assert.equal(next.policies()?.container(next.holdings()[0]?.id ?? ""), undefined);
  await cluster.start();
  await until("it knows", () => next.policies()?.container(next.holdings()[0]?.id ?? "")?.policy === "first");
  assert.equal(readControl(control).policyGeneration, number, "the same policy has the same number");
  cluster.delete("compressionpolicies", "first");
  await until("the settings hold", () => modeOf(control) === "full");
  assert.ok(node.log.messages.includes("API server not followed"));
});

test("history that was forgotten costs a list and loses nothing", async (t) => {
  const here = await site(t);
  const { cluster } = here;
  cluster.put("compressionpolicies", "first", { spec: { ...all, mode: "hold" } });
  const control = await run(here, "p");
  await until("it follows", () => modeOf(control) === "hold");
  cluster.forget();
  cluster.delete("compressionpolicies", "first");
  cluster.put("compressionpolicies", "next", { spec: { ...all, mode: "off" } });
  cluster.forget();
  await until("it follows the next", () => modeOf(control) === "off");
  assert.ok(cluster.asked.filter((line) => line === "list compressionpolicies").length >= 2);
});

test("a node policy on disk that cannot be understood is told, and the settings hold", async (t) => {
  const here = await site(t);
  await here.cluster.stop();
  writeFileSync(join(here.node.hostFolder, "node-policy.json"), "torn");
  const next = await here.again();
  assert.ok(here.node.log.messages.includes("node's policy of before not known"));
  assert.equal(next.gpuStates()[0]?.offered.length, 35);
});
