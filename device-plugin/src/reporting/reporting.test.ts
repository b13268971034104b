import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import test, { type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, type CoreEvent } from "@loretoken/kube";
import { TestApiServer, until } from "@loretoken/kube/testing";
import { TelemetryReader } from "@loretoken/telemetry";
import { TelemetryBytes } from "@loretoken/telemetry/testing";
import type { GpuState } from "../monitor/monitor.ts";
import { withFile } from "../monitor/with-file.ts";
import { gpuOf } from "../testing/fixtures.ts";
import { Reporting } from "./reporting.ts";
import { Node, owner } from "./testing/node.ts";

const gpu: GpuState = {
  ...gpuOf(0),
  health: { state: "healthy" },
  capacity: { usable: 23n << 30n, units: 35 },
  offered: Array.from({ length: 35 }, (_, index) => index),
  held: 2,
  guaranteed: 1n << 30n,
  strangers: 0n,
  verdict: undefined,
  reading: undefined,
};

interface Bench {
  node: Node;
  server: TestApiServer;
  reporting: Reporting;
  events(): [reason: string, count: number, message: string][];
}

async function bench(context: TestContext, connected = true, pollEvery = 20): Promise<Bench> {
  const node = new Node(context);
  const server = await new TestApiServer().start();
  server.answer = ({ path, body }) => (path.includes("gpunodes") ? { code: 200, body } : undefined);
  const client = new Client({ config: server.config, userAgent: "test", timeout: 300 });
  const reporting = new Reporting({
    version: "1.2.3",
    node: "node-1",
    client: connected ? client : undefined,
    holdings: () => node.holdings,
    gpus: () => [gpu],
    log: node.log,
    ...(pollEvery === 0 ? {} : { pollEvery }),
  });
  context.after(async () => {
    await reporting.stop(); // for those that a failed test left running
    await server.stop();
  });
  const events = (): ReturnType<Bench["events"]> =>
    [...server.objects.values()]
      .map((object) => object as CoreEvent)
      .filter(({ kind }) => kind === "Event")
      .map(({ reason, count, message }) => [reason, count, message]);
  return { node, server, reporting, events };
}

test("what the agent observes becomes events on the node, with the figures in words", async (context) => {
  const { reporting, events } = await bench(context);
  const { observer } = reporting;
  const gpuUuid = gpu.uuid;
  const verdict = { mode: "hold", guard: "thermal", figure: 91_000, limit: 87_000, backoff: 0 } as const;
  reporting.start();
  observer.xid({ gpuUuid, xid: 79, fault: true, at: Date.now() });
  observer.xid({ gpuUuid, xid: 0, fault: true, at: Date.now() });
  observer.healthChanged({ gpuUuid, health: { state: "unhealthy", cause: "XID 79" } });
  observer.healthChanged({ gpuUuid, health: { state: "healthy" } });
  observer.verdictChanged({ gpuUuid, before: undefined, after: verdict });
  observer.verdictChanged({ gpuUuid, before: verdict, after: { ...verdict, mode: "full", backoff: 1 } });
  observer.verdictChanged({ gpuUuid, before: verdict, after: undefined });
  observer.verdictChanged({ gpuUuid, before: undefined, after: { ...verdict, guard: "device", figure: 79, limit: 0 } });
  observer.refused({
    reason: "UnitsOnSeveralGpus",
    message: "40 units asked for, 30 are free on one GPU",
    gpuUuid: undefined,
  });
  await until("delivered", () => events().length === 7);
  await reporting.stop();
  assert.deepEqual(events(), [
    ["XidError", 1, `GPU ${gpuUuid}: the driver reported XID 79`],
    ["EccError", 1, `GPU ${gpuUuid}: a memory error that could not be corrected`],
    ["GpuUnhealthy", 1, `GPU ${gpuUuid} gets no new containers: XID 79`],
    ["GpuRecovered", 1, `GPU ${gpuUuid} gets containers again after 0 s`],
    ["ThermalBackoff", 1, `GPU ${gpuUuid}: 91.0 °C, limit 87.0 °C; mode at most hold`],
    ["CompressionResumed", 2, `GPU ${gpuUuid}: thermal limit kept again`],
    ["AllocationRefused", 1, "40 units asked for, 30 are free on one GPU"],
  ]);
});

test("a container's last words, when it starts anew, at its release and at the agent's end", async (context) => {
  const { node, reporting, events } = await bench(context);
  const holding = node.hold("a");
  const file = new TelemetryBytes();
  node.place(holding, file);
  reporting.start();
  await reporting.metrics.render();
  node.place(holding, file.event(1_700_000_000, { guard: 1, figure: 1, limit: 1 }));
  reporting.observer.renewing(holding);
  const anew = new TelemetryBytes().event(1_700_000_000, { guard: 5, figure: 2 << 20, limit: 1 << 20 });
  node.place(holding, anew, true);
  reporting.observer.releasing(holding);
  node.holdings = [];
  const other = node.hold("b", { owner: { ...owner, pod: "other", podUid: "u-2" } });
  node.place(other, new TelemetryBytes().event(1_700_000_000, { guard: 4, to_mode: 1, figure: 150, limit: 100 }));
  await reporting.stop();
  assert.deepEqual(
    events()
      .map(([reason]) => reason)
      .sort(),
    ["IntegrityMismatch", "MemoryPromiseExceeded", "PenaltyBackoff"],
  );
});

test("an end without an API server takes seconds, and what waited is read again", async (context) => {
  const { node, server, reporting } = await bench(context);
  await server.stop();
  node.place(node.hold("a"), new TelemetryBytes().event(1_700_000_000, { guard: 5, figure: 2, limit: 1 }));
  reporting.start();
  const start = performance.now();
  await reporting.stop();
  assert.ok(performance.now() - start < 4000);
  await server.start();
  const again = new Reporting({
    version: "1.2.3",
    node: "node-1",
    client: new Client({ config: server.config, userAgent: "test" }),
    holdings: () => node.holdings,
    gpus: () => [gpu],
    log: node.log,
    pollEvery: 20,
  });
  context.after(() => again.stop());
  again.start();
  await until("delivered", () => server.objects.size === 1);
  await again.stop();
});

test("the monitor's look at a file is the only one: what it shows is reported, what it does not waits", async (context) => {
  const { node, reporting, events } = await bench(context, true, 0);
  const holding = node.hold("a");
  const file = new TelemetryBytes();
  node.place(holding, file);
  const reader = new TelemetryReader();
  const glance = () => withFile(holding.telemetry, (open) => reader.glance(open, holding.telemetry));
  reporting.start();
  const early = glance();
  reporting.observer.glanced({ holding, glance: early });
  node.place(holding, file.event(1_700_000_000, { guard: 5, figure: 2 << 20, limit: 1 << 20 }));
  reporting.observer.glanced({ holding, glance: early });
  await sleep(100);
  assert.deepEqual(events(), []);
  reporting.observer.glanced({ holding, glance: glance() });
  await until("delivered", () => events().length === 1);
  rmSync(holding.telemetry);
  reporting.observer.glanced({ holding, glance: undefined });
  await reporting.stop();
  assert.equal(events()[0]?.[0], "MemoryPromiseExceeded");
});

test("a pod's UID is the API server's word; no such pod has none", async (context) => {
  const { server, reporting } = await bench(context);
  server.objects.set("/api/v1/namespaces/team/pods/train-0", { metadata: { uid: "u-7" } });
  assert.equal(await reporting.podUid("team", "train-0"), "u-7");
  assert.equal(await reporting.podUid("team", "gone"), "");
  server.faults.push({ code: 500 });
  await assert.rejects(reporting.podUid("team", "train-0"));
});

test("without an API server there are metrics, and events go to the log", async (context) => {
  const { node, reporting, server } = await bench(context, false);
  node.place(node.hold("a"), new TelemetryBytes().event(1_700_000_000, { guard: 5, figure: 2, limit: 1 }));
  reporting.start();
  await until("told", () => node.log.messages.includes("event"));
  const page = await reporting.pages["/metrics"]?.();
  assert.equal(page?.status, 200);
  assert.match([page?.body].flat().join(""), /loretoken_gpu_units\{gpu_uuid="GPU-[^"]+",gpu="0"\} 35/);
  assert.equal(await reporting.podUid("team", "train-0"), "");
  await reporting.stop();
  assert.equal(node.log.messages.filter((message) => message === "event").length, 1);
  assert.equal(server.seen.length, 0);
});
