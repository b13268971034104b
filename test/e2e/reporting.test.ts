/** What the agent reports, against a real API server that is paused, killed and started again under it. Needs no rights. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { type GpuNode, type GpuNodeStatus, gpuNodeResource } from "@loretoken/api";
import {
  apply,
  Client,
  type CoreEvent,
  EventRecorder,
  eventResource,
  FieldConflictError,
  hasCode,
  pathOf,
  type Resource,
  retry,
} from "@loretoken/kube";
import { TelemetryBytes } from "@loretoken/telemetry/testing";
import { Cluster, needsOwnCluster, until } from "@loretoken/test-cluster";
import { parse } from "yaml";
import { GpuNodeWriter } from "../../device-plugin/src/reporting/gpu-node-writer.ts";
import { gpuNodeStatusOf, NodeEvents, TelemetryWatch } from "../../device-plugin/src/reporting/index.ts";
import { Node, owner } from "../../device-plugin/src/reporting/testing/node.ts";
import { holdingOf, uuidOf } from "../../device-plugin/src/testing/fixtures.ts";
import { recordingLog } from "../../device-plugin/src/testing/log.ts";

const namespaces: Resource = { apiVersion: "v1", kind: "Namespace", plural: "namespaces", namespaced: false };
const definitions: Resource = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  namespaced: false,
};
const hot = { guard: 2, from_mode: 0, to_mode: 1, figure: 91_000, limit: 87_000, text: "too hot" };
const root = join(import.meta.dirname, "../..");

test("the agent's reports on a real API server", { skip: needsOwnCluster }, async (context) => {
  const cluster = await Cluster.start({ kind: "control", name: "reporting" });
  const client = new Client({ config: await cluster.kubeConfig(), userAgent: "loretoken-test", timeout: 1000 });
  context.after(async () => {
    client.close();
    await cluster.stop();
  });
  await client.request({ method: "POST", path: pathOf(namespaces), body: { metadata: { name: owner.namespace } } });
  const crd = parse(readFileSync(join(root, "crds/loretoken.dev_gpunodes.yaml"), "utf8"));

  await context.test("the CRD is taken as it is, and becomes usable", async () => {
    await apply(client, { resource: definitions, object: crd, fieldOwner: "test" });
    await until("GpuNode is served", async () => {
      const list = await client.request<{ items: [] }>({ method: "GET", path: pathOf(gpuNodeResource) });
      return list.items.length === 0;
    });
  });
  await context.test("GpuNode", (inner) => gpuNodes(inner, cluster, client));
  await context.test("events", (inner) => events(inner, cluster, client));
});

function status(pod = "train-0"): GpuNodeStatus {
  const holdings = [holdingOf("a", ["0-1", "0-2"], { owner: { ...owner, pod } })];
  const gpu = { index: 0, uuid: uuidOf(0), model: "H200", health: { state: "healthy" as const } };
  const memory = { physical: 141n << 30n, virtual: 211n << 30n, guaranteed: 1n << 30n };
  return gpuNodeStatusOf({
    agentVersion: "1.2.3",
    now: Date.now(),
    gpus: [{ ...gpu, ...memory, units: 211, allocatedUnits: 2, temperature: 60 }],
    holdings,
    usage: new Map(),
  });
}

async function gpuNodes(context: TestContext, cluster: Cluster, client: Client): Promise<void> {
  const path = pathOf(gpuNodeResource, { name: "node1" });
  const read = (): Promise<GpuNode> => retry(() => client.request<GpuNode>({ method: "GET", path }));
  let wanted = status();
  const writer = new GpuNodeWriter({
    owner: async () => undefined,
    client,
    node: "node1",
    status: () => wanted,
    log: recordingLog(),
  });

  await context.test("is written whole, and kubectl's table says who has what", async () => {
    await writer.step();
    assert.deepEqual((await read()).status, wanted);
    const table = await tableOf(cluster);
    assert.deepEqual(table, { Name: "node1", GPUs: "1/1", Units: "2/211", Mode: "full", Holders: "team/train-0=2Gi" });
  });

  await context.test("a container that went is gone from the list, which is merged by key", async () => {
    wanted = status("train-1");
    await writer.step();
    assert.deepEqual(
      (await read()).status?.gpus[0]?.containers.map(({ pod }) => pod),
      ["train-1"],
    );
  });

  await context.test(
    "fields that someone else wrote are taken back; who asks first is told whose they are",
    async () => {
      const other = { metadata: { name: "node1" }, status: { agentVersion: "other" } };
      const options = { resource: gpuNodeResource, subresource: "status", fieldOwner: "other" } as const;
      await assert.rejects(apply(client, { ...options, object: other, force: false }), (error) => {
        assert.ok(error instanceof FieldConflictError);
        assert.ok(error.conflicts.some(({ field }) => field === ".status.agentVersion"));
        return /loretoken-agent/.test(error.message);
      });
      wanted = status("train-2");
      await writer.step();
      assert.equal((await read()).status?.agentVersion, "1.2.3");
    },
  );

  await context.test("one that was deleted is made again; the API server may be away meanwhile", async () => {
    await client.request({ method: "DELETE", path });
    wanted = status("train-3");
    await cluster.components.apiServer.kill();
    await writer.step();
    assert.equal(writer.writes.error, 1);
    await cluster.components.apiServer.start();
    await cluster.apiReady();
    await until("written again", async () => {
      await writer.step();
      return writer.writes.ok >= 4;
    });
    assert.equal((await read()).status?.summary.holders, "team/train-3=2Gi");
  });

  await context.test("a status that the schema does not know is refused", async () => {
    const wrong = { ...wanted, gpus: [{ ...wanted.gpus[0], raw: "a lot" }] };
    await assert.rejects(
      apply(client, {
        resource: gpuNodeResource,
        subresource: "status",
        fieldOwner: "test",
        object: { metadata: { name: "node1" }, status: wrong },
      }),
      (error) => hasCode(error, 422) && /raw/.test(error.message),
    );
  });
}

/** The row as kubectl asks for it, of the columns that hold still. */
async function tableOf(cluster: Cluster): Promise<Record<string, unknown>> {
  const config = await cluster.kubeConfig();
  const options: { headers?: Record<string, string> } = {};
  await config.applyToHTTPSOptions(options as never);
  const { request } = await import("node:https");
  const url = `${config.getCurrentCluster()?.server}${pathOf(gpuNodeResource)}`;
  const text = await new Promise<string>((resolve, reject) => {
    const accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    const asked = request(url, { ...options, headers: { ...options.headers, accept } }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve(body));
    });
    asked.on("error", reject);
    asked.end();
  });
  const table = JSON.parse(text) as { columnDefinitions: { name: string }[]; rows: { cells: unknown[] }[] };
  const names = table.columnDefinitions.map(({ name }) => name);
  const wanted = ["Name", "GPUs", "Units", "Mode", "Holders"];
  return Object.fromEntries(wanted.map((name) => [name, table.rows[0]?.cells[names.indexOf(name)]]));
}

async function events(context: TestContext, cluster: Cluster, client: Client): Promise<void> {
  const list = async (namespace = owner.namespace): Promise<CoreEvent[]> => {
    const path = pathOf(eventResource, { namespace });
    return (await retry(() => client.request<{ items: CoreEvent[] }>({ method: "GET", path }))).items;
  };
  const start = (): { recorder: EventRecorder; stop: () => Promise<void> } => {
    const recorder = new EventRecorder({
      client,
      reporter: { component: "loretoken-agent", instance: "node1" },
      pace: { repeat: 50, burst: 1000, refill: 10 },
    });
    const controller = new AbortController();
    const running = recorder.run(controller.signal);
    const stop = (): Promise<void> => {
      controller.abort();
      return running;
    };
    context.after(stop);
    return { recorder, stop };
  };

  await context.test("on the node: in default, found by the node's name, later figures in the message", async () => {
    const { recorder, stop } = start();
    const node = new NodeEvents("node1", recorder);
    node.ecc(uuidOf(0), 1, Date.now());
    await until("first", async () => recorder.figures.delivered === 1);
    node.ecc(uuidOf(0), 7, Date.now());
    await until("second", async () => recorder.figures.delivered === 2);
    await stop();
    const found = (await list("default")).filter(({ reason }) => reason === "EccError");
    assert.deepEqual(
      found.map(({ count, involvedObject }) => [count, involvedObject.kind, involvedObject.name]),
      [[2, "Node", "node1"]],
    );
    assert.match(found[0]?.message ?? "", /could not be corrected, 7 since the GPU was started$/);
  });

  await context.test("of a namespace that is not there: refused, and the next one is delivered", async () => {
    const { recorder, stop } = start();
    const regarding = { apiVersion: "v1", kind: "Pod", namespace: "nowhere", name: "x", uid: "x" };
    recorder.record({ regarding, type: "Warning", reason: "ThermalBackoff", message: "x" });
    new NodeEvents("node1", recorder).xid(uuidOf(0), 79, Date.now());
    await until("settled", async () => recorder.figures.waiting === 0);
    await stop();
    assert.deepEqual([recorder.figures.refused, recorder.figures.delivered], [1, 1]);
  });

  await context.test("of a ring: each once, while server and agent are paused, killed and started", async (inner) => {
    const node = new Node(inner);
    const holding = node.hold("a");
    const file = new TelemetryBytes();
    let written = 0;
    const say = (count: number): void => {
      for (let each = 0; each < count; ++each) file.event(1_700_000_000 + ++written, hot);
      node.place(holding, file);
    };
    let agent = start();
    let watch = node.watch(agent.recorder as never);
    const poll = async (times: number): Promise<void> => {
      for (let time = 0; time < times; ++time) {
        node.now += 1000;
        watch.poll();
        await pause(20);
      }
    };
    /** As kill -9: nothing is flushed or kept at the end. */
    const killAgent = async (): Promise<void> => {
      await agent.stop();
      agent = start();
      watch = new TelemetryWatch({ holdings: () => node.holdings, recorder: agent.recorder, log: node.log });
    };
    const { apiServer } = cluster.components;

    say(3);
    await poll(3);
    await killAgent();
    say(2);
    await poll(5);
    apiServer.pause();
    say(4);
    await poll(80);
    await killAgent();
    await poll(3);
    apiServer.resume();
    await poll(20);
    await apiServer.kill();
    say(5);
    await poll(10);
    await killAgent();
    say(1);
    await poll(5);
    await apiServer.start();
    await cluster.apiReady();
    for (let round = 0; round < 6; ++round) {
      say(2);
      watch.poll();
      await pause(Math.round(30 * Math.random()));
      await killAgent();
    }
    await until("all delivered", async () => {
      watch.poll();
      return agent.recorder.figures.waiting === 0;
    });
    await agent.stop();
    const found = (await list()).filter(({ reason }) => reason === "ThermalBackoff");
    assert.deepEqual(
      found.map(({ count, involvedObject }) => [count, involvedObject.name]),
      [[written, owner.pod]],
    );
  });

  await context.test("events.k8s.io shows the same", async () => {
    const path = `/apis/events.k8s.io/v1/namespaces/${owner.namespace}/events`;
    const { items } = await client.request<{ items: { note: string; reportingController: string }[] }>({
      method: "GET",
      path,
    });
    assert.equal(items[0]?.reportingController, "loretoken-agent");
    assert.match(items[0]?.note ?? "", /91\.0 °C, limit 87\.0 °C; mode full to hold/);
  });
}
