import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { type GpuNodeStatus, gpuNodeStatus } from "@loretoken/api";
import { Client, type KubeObject } from "@loretoken/kube";
import { TestApiServer, TestClock } from "@loretoken/kube/testing";
import { row, usageOf } from "@loretoken/telemetry";
import type { Holding } from "../holding.ts";
import type { PolicyStanding } from "../policy/delivery.ts";
import { holdingOf, uuidOf } from "../testing/fixtures.ts";
import { recordingLog } from "../testing/log.ts";
import { gpuNodeStatusOf, type NodePicture } from "./gpu-node-status.ts";
import { GpuNodeWriter, type GpuNodeWriterOptions } from "./gpu-node-writer.ts";
import type { GpuState } from "./gpu-state.ts";
import { NodeOwner } from "./node-owner.ts";
import { owner } from "./testing/node.ts";

const GiB = 2 ** 30;
const now = Date.parse("2026-01-01T00:00:00Z");

function gpu(index: number, changes: Partial<GpuState> = {}): GpuState {
  return {
    index,
    uuid: uuidOf(index),
    model: "NVIDIA H200",
    health: { state: "healthy" },
    physical: 141n << 30n,
    virtual: 211n << 30n,
    units: 211,
    allocatedUnits: 48,
    guaranteed: 26n << 30n,
    temperature: 60.4,
    ...changes,
  };
}

function usage(fields: Partial<ReturnType<typeof row.read>>) {
  return usageOf([{ ...row.read(new DataView(new ArrayBuffer(row.size)), 0), ...fields }]);
}

function units(slot: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${slot}-${index}`);
}

function picture(changes: Partial<NodePicture> = {}): NodePicture {
  const holdings: Holding[] = [
    holdingOf("a", units(0, 40), { owner }),
    holdingOf("b", units(0, 8), { owner: { ...owner, pod: "infer", podUid: "u-2" } }),
    holdingOf("c", units(1, 2)),
  ];
  return {
    agentVersion: "1.2.3",
    now,
    gpus: [
      gpu(0),
      gpu(1, { allocatedUnits: 2, health: { state: "unhealthy", cause: "XID 79" }, temperature: undefined }),
    ],
    holdings,
    usage: new Map([
      ["a", usage({ pid: 1, raw_bytes: 20 * GiB, packed_bytes: 2 * GiB, packed_logical: 3 * GiB })],
      ["b", usage({ pid: 1, raw_bytes: GiB, mode: 2, mode_guard: 4, mode_cause: "too\nslow" })],
    ]),
    ...changes,
  };
}

test("the status is what the schema says, and answers who has what", () => {
  const status = gpuNodeStatusOf(picture());
  assert.deepEqual(gpuNodeStatus.parse(status), status);
  assert.deepEqual(status.summary, {
    gpus: "1/2",
    units: "50/422",
    physical: "282Gi",
    virtual: "422Gi",
    raw: "21Gi",
    packed: "2Gi",
    host: "0Mi",
    ratio: "1.50",
    mode: "off",
    holders: "team/train-0=40Gi,team/infer=8Gi",
  });
  assert.equal(status.unowned, 1);
  const [first, second] = status.gpus;
  assert.deepEqual([first?.allocatedUnits, first?.raw, first?.temperatureCelsius], [48, "21Gi", 60]);
  assert.deepEqual([second?.health, second?.healthCause, second?.allocatedUnits], ["Unhealthy", "XID 79", 2]);
  assert.equal(second && "temperatureCelsius" in second, false);
  assert.deepEqual(
    first?.containers.map(({ pod, mode, modeCause }) => [pod, mode, modeCause]),
    [
      ["infer", "off", "too slow"],
      ["train-0", "full", ""],
    ],
  );
});

test("many holders are the largest few and a number", () => {
  const holdings = Array.from({ length: 9 }, (_, index) =>
    holdingOf(`h${index}`, units(index, index + 1), { owner: { ...owner, pod: `p${index}`, podUid: `u${index}` } }),
  );
  const { holders } = gpuNodeStatusOf(picture({ holdings })).summary;
  assert.equal(holders, "team/p8=9Gi,team/p7=8Gi,team/p6=7Gi,team/p5=6Gi,team/p4=5Gi,+4");
});

test("units that an init container shares with the next container count once", () => {
  const holdings = ["init", "main"].map((container) =>
    holdingOf(container, units(0, 3), { owner: { ...owner, container } }),
  );
  assert.equal(gpuNodeStatusOf(picture({ holdings })).summary.holders, "team/train-0=3Gi");
});

test("two allocations under one pod and container are one entry: lists merge by key", () => {
  const holdings = [
    holdingOf("old", units(0, 1), { owner }),
    holdingOf("new", units(0, 3), { owner, allocatedAt: 2e6 }),
  ];
  const [first] = gpuNodeStatusOf(picture({ holdings })).gpus;
  assert.deepEqual(
    first?.containers.map((container) => container.units),
    [3],
  );
});

test("who goes by which policy is there, and why; nothing of it where there are no policies", () => {
  const [plain] = gpuNodeStatusOf(picture()).gpus;
  assert.ok(plain?.containers.every((row) => !("policy" in row)));
  const status = gpuNodeStatusOf(
    picture({
      policies: {
        node: { policy: "nodes", generation: 2, reason: "Suspended" },
        unreadable: ["odd"],
        deliverySeconds: undefined,
        container: (id) =>
          id === "a" ? { policy: "careful", generation: 3, reason: "Applied", block: undefined } : undefined,
      },
    }),
  );
  assert.deepEqual(gpuNodeStatus.parse(status), status);
  assert.deepEqual(
    [status.policy, status.policyGeneration, status.policyReason, status.unreadablePolicies],
    ["nodes", 2, "Suspended", ["odd"]],
  );
  const rows = status.gpus[0]?.containers.map((row) => [row.pod, row.policy, row.policyGeneration, row.policyReason]);
  assert.deepEqual(rows, [
    ["infer", "", 0, "Pending"],
    ["train-0", "careful", 3, "Applied"],
  ]);
});

interface Bench {
  server: TestApiServer;
  clock: TestClock;
  writer: GpuNodeWriter;
  status: GpuNodeStatus;
  log: ReturnType<typeof recordingLog>;
  /** Status writes that arrived. */
  written(): number;
}

async function bench(context: TestContext): Promise<Bench> {
  const server = await new TestApiServer().start();
  const client = new Client({ config: server.config, userAgent: "test", timeout: 500 });
  context.after(async () => {
    client.close();
    await server.stop();
  });
  // As the API server: applying makes the object, a status of an object that is not there is not found.
  server.answer = ({ method, path, body, query }) => {
    if (method === "GET") return undefined;
    assert.equal(query.get("fieldManager"), "loretoken-agent");
    const name = path.replace(/\/status$/, "");
    if (path !== name && !server.objects.has(name)) return { code: 404, body: { reason: "NotFound" } };
    const { metadata, ...rest } = body as KubeObject;
    server.objects.set(name, {
      ...server.objects.get(name),
      ...rest,
      ...(path === name ? { metadata } : {}),
    } as KubeObject);
    return { code: 200, body };
  };
  const clock = new TestClock(now);
  const log = recordingLog();
  const nodeOwner = new NodeOwner({ client, node: "node-1", log });
  const owner: GpuNodeWriterOptions["owner"] = (signal) => nodeOwner.reference(signal);
  const made: Bench = {
    server,
    clock,
    log,
    status: gpuNodeStatusOf(picture()),
    writer: new GpuNodeWriter({
      client,
      node: "node-1",
      status: () => made.status,
      log,
      clock,
      owner,
      random: () => 0,
    }),
    written: () => server.seen.filter(({ path }) => path.endsWith("/status")).length,
  };
  return made;
}

const path = "/apis/loretoken.dev/v1alpha1/gpunodes/node-1";

test("the object is made first, then its status; nothing is written while nothing changes", async (context) => {
  const { server, writer, clock, written, status } = await bench(context);
  for (let round = 0; round < 5; ++round) {
    await writer.step();
    await clock.advance(10_000);
  }
  assert.equal(written(), 1);
  assert.deepEqual((server.objects.get(path) as { status?: unknown } | undefined)?.status, status);
  assert.deepEqual(writer.writes, { ok: 1, error: 0 });
});

test("a change is written at the next step, a flicker after a minute", async (context) => {
  const made = await bench(context);
  const { writer, clock, written } = made;
  await writer.step();
  const [first, second] = made.status.gpus;
  assert.ok(first && second);
  made.status = { ...made.status, gpus: [{ ...first, temperatureCelsius: 61, raw: "21600Mi" }, second] };
  await clock.advance(10_000);
  await writer.step();
  assert.equal(written(), 1);
  await clock.advance(50_000);
  await writer.step();
  assert.equal(written(), 2);
  made.status = { ...made.status, gpus: [{ ...first, temperatureCelsius: 70 }, second] };
  await writer.step();
  assert.equal(written(), 3);
  made.status = { ...made.status, gpus: [{ ...first, temperatureCelsius: 70, containers: [] }, second] };
  await writer.step();
  assert.equal(written(), 4);
});

test("another generation of a policy is a change", async (context) => {
  const made = await bench(context);
  const policies = (generation: number): PolicyStanding => ({
    node: { policy: "nodes", generation, reason: "Applied" },
    unreadable: [],
    deliverySeconds: undefined,
    container: () => ({ policy: "careful", generation, reason: "Applied", block: undefined }),
  });
  for (const generation of [1, 1, 2, 2, 3]) {
    made.status = gpuNodeStatusOf(picture({ policies: policies(generation) }));
    await made.writer.step();
    await made.clock.advance(10_000);
  }
  assert.equal(made.written(), 3);
});

test("one that someone deleted is made again", async (context) => {
  const made = await bench(context);
  const { server, writer, clock } = made;
  await writer.step();
  server.objects.clear();
  await clock.advance(300_000);
  await writer.step();
  assert.ok(server.objects.has(path));
  assert.deepEqual(writer.writes, { ok: 2, error: 0 });
});

test("without an API server it is tried again, ever more rarely, and written when it is back", async (context) => {
  const { server, writer, clock, log } = await bench(context);
  await server.stop();
  const controller = new AbortController();
  const running = writer.run(controller.signal);
  const failed = async (count: number): Promise<void> => {
    while (writer.writes.error < count || clock.sleeping === 0) await clock.advance(0);
  };
  await failed(1);
  await clock.advance(10_000);
  await failed(2);
  await clock.advance(19_000);
  assert.equal(writer.writes.error, 2);
  await server.start();
  await clock.advance(1_000);
  while (writer.writes.ok === 0) await clock.advance(0);
  controller.abort();
  await running;
  assert.deepEqual(log.messages, ["GpuNode not written", "GpuNode not written", "GpuNode written again"]);
});

const nodePath = "/api/v1/nodes/node-1";
const reference = (uid: string) => [{ apiVersion: "v1", kind: "Node", name: "node-1", uid }];

test("the Node owns it, so that it goes with the Node; a Node made anew owns the new one", async (context) => {
  const { server, writer, clock, log } = await bench(context);
  const owners = (): unknown => server.objects.get(path)?.metadata?.ownerReferences;
  server.objects.set(nodePath, { metadata: { uid: "n-1" } });
  await writer.step();
  assert.deepEqual(owners(), reference("n-1"));
  server.objects.clear();
  server.objects.set(nodePath, { metadata: { uid: "n-2" } });
  await clock.advance(300_000);
  await writer.step();
  assert.deepEqual(owners(), reference("n-2"));
  assert.deepEqual(log.messages, []);
});

test("a Node that is not known at first is asked for again, but not with every write", async (context) => {
  const made = await bench(context);
  const { server, writer, clock, log } = made;
  const asked = (): number => server.seen.filter(({ path: at }) => at === nodePath).length;
  for (let round = 0; round < 20; ++round) {
    made.status = { ...made.status, unowned: round };
    await writer.step();
    await clock.advance(10_000);
  }
  assert.equal(asked(), 1);
  assert.deepEqual(server.objects.get(path)?.metadata?.ownerReferences, undefined);
  server.objects.set(nodePath, { metadata: { uid: "n-1" } });
  await clock.advance(100_000);
  made.status = { ...made.status, unowned: 20 };
  await writer.step();
  assert.deepEqual(server.objects.get(path)?.metadata?.ownerReferences, reference("n-1"));
  assert.deepEqual(log.messages, []);
});

test("an owner that was known is stated on, though the API server does not tell it again", async (context) => {
  const { server, writer, clock, log } = await bench(context);
  server.objects.set(nodePath, { metadata: { uid: "n-1" } });
  await writer.step();
  server.objects.delete(path);
  await clock.advance(300_000);
  const { answer } = server;
  server.answer = (seen) => (seen.path === nodePath ? { code: 403, body: { message: "no" } } : answer?.(seen));
  await writer.step();
  assert.deepEqual(server.objects.get(path)?.metadata?.ownerReferences, reference("n-1"));
  assert.deepEqual(log.messages, ["Node's UID not known"]);
});
