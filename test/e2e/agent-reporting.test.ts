/** What a user sees of the agent: metrics, Events on the node, its GpuNode; also while the API server is away. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CoreV1Api, type CoreV1Event, CustomObjectsApi } from "@kubernetes/client-node";
import { compressionPolicyResource, type GpuNode } from "@loretoken/api";
import { apply, Client } from "@loretoken/kube";
import { needsOwnCluster, until } from "@loretoken/test-cluster";
import { resource, useAgent } from "./support/agent.ts";
import { agentRules } from "./support/agent-account.ts";
import { shell, shellImage } from "./support/images.ts";

const own = { skip: needsOwnCluster };
const { target, agent } = useAgent("agent-reporting", { gpus: ["8GiB", "8GiB"], images: [shell], audit: true });
const forever = ["/bin/sleep", "1000000"];

test("a container has its series while it holds its memory, and none after", own, async () => {
  const { pods, namespace } = target();
  await pods.run({ name: "measured", image: shellImage, command: forever, limits: { [resource]: 3 } });
  const labels = `namespace="${namespace}",pod="measured",container="main"`;
  const has = (text: string, name: string) =>
    text.split("\n").find((line) => line.startsWith(`${name}{`) && line.includes(labels));
  await until("its series are there", async () => has(await metrics(), "loretoken_container_units"));
  const text = await metrics();
  assert.match(has(text, "loretoken_container_units") ?? "", / 3$/);
  assert.match(has(text, "loretoken_container_virtual_bytes") ?? "", / 3221225472$/);
  assert.equal(text.match(/^loretoken_gpu_units\{.*\} 11$/gm)?.length, 2);
  assert.equal(text.match(/^loretoken_gpu_allocated_units\{.*\} 3$/gm)?.length, 1);
  await pods.remove("measured");
  await until("its files are gone", async () => (await agent().kept()).length === 0);
  assert.ok(!(await metrics()).includes('pod="measured"'), "a series of a pod that is gone");
});

test("a GPU that falls ill and recovers is told once on the node", own, async () => {
  await agent().faults("xid=79:1");
  const ill = await nodeEvent("GpuUnhealthy");
  assert.match(ill.message ?? "", /79/);
  assert.match((await nodeEvent("XidError")).message ?? "", /79/);
  await agent().faults();
  await nodeEvent("GpuRecovered");
  await agent().kill();
  await agent().offers(22);
  assert.equal((await nodeEvent("GpuUnhealthy")).count, 1, "told again after the agent started anew");
  assert.equal((await nodeEvent("XidError")).count, 1);
});

test("a refused allocation is told with its figures", own, async () => {
  const { pods } = target();
  for (const name of ["first", "second"]) {
    await pods.run({ name, image: shellImage, command: forever, limits: { [resource]: 7 } });
  }
  await pods.create({ name: "scattered", image: shellImage, command: forever, limits: { [resource]: 6 } });
  await pods.waitFor("scattered", "is refused", ({ status }) => status?.phase === "Failed");
  assert.match((await nodeEvent("AllocationRefused")).message ?? "", /6 units.*4 or fewer/);
});

test("the node's GpuNode says who holds what", own, async () => {
  const gpuNode = await until(
    "it has both pods",
    async () => {
      const object = await read();
      return JSON.stringify(object.status).includes('"second"') && object;
    },
    { timeoutMs: 40_000 },
  );
  const text = JSON.stringify(gpuNode.status);
  for (const name of ["first", "second"]) assert.ok(text.includes(`"${name}"`), text);
});

test("what happens while the API server is away is told later, and what happens again is counted", own, async () => {
  const { cluster, pods } = target();
  cluster.components.apiServer.pause();
  try {
    await agent().faults("xid=48:0");
    await until("the agent knows", async () => /"xid":48/.test(await agentLog()), { timeoutMs: 20_000 });
  } finally {
    cluster.components.apiServer.resume();
  }
  await cluster.apiReady();
  const first = await nodeEvent("XidError", ({ message }) => /\b48\b/.test(message ?? ""));
  assert.equal(first.count, 1);
  await agent().faults("xid=48:0:2");
  const again = await nodeEvent(
    "XidError",
    ({ metadata, count }) => metadata.uid === first.metadata.uid && (count ?? 0) > 1,
  );
  assert.equal(again.count, 2);
  await agent().faults();
  await agent().offers(22, 60_000);
  await pods.run({ name: "later", image: shellImage, command: forever, limits: { [resource]: 1 } });
});

test("the agent's role has the verbs that it uses and no other", own, async () => {
  const { cluster, namespace } = target();
  const user = `system:serviceaccount:${namespace}:agent`;
  // Watches are seen when they begin, and may last longer than the test.
  const stages = ["ResponseStarted", "ResponseComplete"];
  const asked = () =>
    readFileSync(cluster.control.auditLog, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
      .filter((event) => event.user.username === user && stages.includes(event.stage));
  // A policy that asks for labels of namespaces: else these are not watched.
  const client = new Client({ config: target().config, userAgent: "test" });
  await apply(client, {
    resource: compressionPolicyResource,
    object: { metadata: { name: "gold" }, spec: { namespaceSelector: { matchLabels: { tier: "gold" } } } },
    fieldOwner: "test",
  });
  client.close();
  await until("namespaces are watched", async () =>
    asked().some(({ verb, objectRef }) => verb === "watch" && objectRef?.resource === "namespaces"),
  );
  const events = asked();
  const refused = events.filter(({ responseStatus }) => responseStatus?.code === 403);
  assert.deepEqual(
    refused.map(({ verb, requestURI }) => `${verb} ${requestURI}`),
    [],
  );
  const used = new Set(
    events.map(
      ({ verb, objectRef }) => `${verb} ${[objectRef?.resource, objectRef?.subresource].filter(Boolean).join("/")}`,
    ),
  );
  const allowed = agentRules.flatMap(({ resources, verbs }) =>
    verbs.flatMap((verb) => (resources ?? []).map((name) => `${verb} ${name}`)),
  );
  // Server-side apply of what is not there is audited as patch, and asks for create all the same.
  used.add("create gpunodes");
  assert.deepEqual([...used].toSorted(), allowed.toSorted());
});

async function metrics(): Promise<string> {
  const { status, body } = await agent().page("/metrics");
  assert.equal(status, 200);
  return body;
}

async function nodeEvent(reason: string, fits: (event: CoreV1Event) => boolean = () => true): Promise<CoreV1Event> {
  const { config, cluster } = target();
  const api = config.makeApiClient(CoreV1Api);
  const selector = { namespace: "default", fieldSelector: `involvedObject.name=${cluster.nodeName}` };
  return until(`${reason} on the node`, async () => {
    const { items } = await api.listNamespacedEvent(selector);
    return items.find((event) => event.reason === reason && fits(event));
  });
}

/** By the node's disk: the API server may be away. */
async function agentLog(): Promise<string> {
  return target().cluster.exec(["sh", "-c", "cat /var/log/pods/*_agent-*/agent/*.log"]);
}

async function read(): Promise<GpuNode> {
  const { config, cluster } = target();
  const name = { group: "loretoken.dev", version: "v1alpha1", plural: "gpunodes", name: cluster.nodeName };
  return (await config.makeApiClient(CustomObjectsApi).getClusterCustomObject(name)) as GpuNode;
}
