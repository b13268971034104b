import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { TelemetryBytes } from "@loretoken/telemetry/testing";
import type { PolicyStanding } from "../policy/delivery.ts";
import type { GpuState } from "./gpu-state.ts";
import { type MetricFacts, metricCatalog } from "./metric-catalog.ts";
import { Metrics } from "./metrics.ts";
import type { TelemetryWatch } from "./telemetry-watch.ts";
import { Node, owner, Recorded } from "./testing/node.ts";

const GiB = 2 ** 30;

function gpuState(changes: Partial<GpuState> = {}): GpuState {
  return {
    index: 0,
    uuid: "GPU-5eed0000-0000-0000-0000-000000000000",
    model: 'NVIDIA "H200"',
    health: { state: "healthy" },
    physical: 141n << 30n,
    virtual: 211n << 30n,
    units: 211,
    allocatedUnits: 4,
    guaranteed: 2n << 30n,
    temperature: 61,
    power: 412.5,
    powerLimit: 700,
    ...changes,
  };
}

function standing(changes: Partial<PolicyStanding> = {}): PolicyStanding {
  return {
    node: { policy: "nodes", generation: 2, reason: "Applied" },
    unreadable: ["odd"],
    deliverySeconds: 0.25,
    container: () => ({ policy: "careful", generation: 3, reason: "Applied", block: { policyGeneration: 77 } }),
    ...changes,
  };
}

interface Bench {
  node: Node;
  watch: TelemetryWatch;
  metrics: Metrics;
  /** Series of a scrape, by name and labels as they are written. */
  scrape(): Promise<Map<string, number>>;
  text(): Promise<string>;
}

function bench(
  context: TestContext,
  gpus: readonly GpuState[] = [gpuState()],
  policies: () => PolicyStanding | undefined = () => standing(),
): Bench {
  const node = new Node(context);
  const watch = node.watch(new Recorded());
  const metrics = new Metrics({
    version: "1.2.3",
    watch,
    gpus: () => gpus,
    holdings: () => node.holdings,
    recorder: { figures: { waiting: 1, delivered: 2, refused: 3, rejected: 4, retries: 5 } },
    gpuNode: { writes: { ok: 6, error: 7 } },
    policies,
    maxAge: 0,
  });
  const text = async (): Promise<string> => (await metrics.render()).join("");
  const scrape = async (): Promise<Map<string, number>> => parse(await text());
  return { node, watch, metrics, scrape, text };
}

function parse(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );
}

const uuid = gpuState().uuid;
const of = (pod: string, container: string, more = ""): string =>
  `{namespace="team",pod="${pod}",container="${container}",gpu_uuid="${uuid}"${more}}`;

test("/metrics has exactly the documented names, types and labels", async (context) => {
  const { node, text } = bench(context, [gpuState({ marginToSlowdown: 20 })]);
  const holding = node.hold("a");
  node.place(holding, new TelemetryBytes().process(0, { pid: 1 }).row(0, { pid: 1 }));
  const lines = (await text()).split("\n");
  const types = new Map(
    lines.filter((line) => line.startsWith("# TYPE")).map((line) => line.split(" ").slice(2) as [string, string]),
  );
  const catalog = Object.entries(metricCatalog as Record<string, MetricFacts>);
  assert.deepEqual([...types.keys()].sort(), catalog.map(([name]) => name).sort());
  const document = readFileSync(join(import.meta.dirname, "../../../docs/reference/metrics.md"), "utf8");
  for (const [name, { type, labels, help }] of catalog) {
    assert.equal(types.get(name), type, name);
    const series = lines.find((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    assert.ok(series, `${name} has no series`);
    const written = [...series.matchAll(/(\w+)="/g)].map(([, label]) => label);
    assert.deepEqual(written, [...labels], name);
    assert.ok(
      document.includes(`| \`${name}\` | ${type} | ${labels.join(", ")} | ${help} |`),
      `${name} is not documented`,
    );
  }
});

test("names say their unit, and counters end in _total", () => {
  for (const [name, { type }] of Object.entries(metricCatalog as Record<string, MetricFacts>)) {
    assert.equal(name.endsWith("_total"), type === "counter", name);
    assert.match(name, /^(loretoken|process)_[a-z_]+$/);
  }
});

test("figures of a container, in base units", async (context) => {
  const { node, scrape } = bench(context);
  const holding = node.hold("a");
  node.place(
    holding,
    new TelemetryBytes().process(0, { pid: 1 }).row(0, {
      pid: 1,
      raw_bytes: 3 * GiB,
      packed_bytes: GiB,
      packed_logical: 2 * GiB,
      host_bytes: GiB,
      host_logical: GiB,
      packs: 5,
      wait_ns: 1_500_000_000,
      codec_in: [1, 2, 3],
      unpack_bytes: 4,
      mode: 1,
      pins: [0, 0, 0, 0, 0, 9],
      guard_events: [0, 0, 2],
      penalty_permille: 25,
      verify_failures: 1,
    }),
  );
  const series = await scrape();
  const main = (name: string, more = ""): number | undefined =>
    series.get(`loretoken_container_${name}${of("train-0", "main", more)}`);
  assert.equal(main("virtual_bytes"), 2 * GiB);
  assert.equal(main("raw_bytes"), 3 * GiB);
  assert.equal(main("ratio"), 1.5);
  assert.equal(main("packs_total"), 5);
  assert.equal(main("wait_seconds_total"), 1.5);
  assert.equal(main("moved_bytes_total", ',move="pack"'), 6);
  assert.equal(main("moved_bytes_total", ',move="unpack"'), 4);
  assert.equal(main("mode", ',mode="hold"'), 1);
  assert.equal(main("mode", ',mode="full"'), 0);
  assert.equal(main("pins", ',reason="small"'), 9);
  assert.equal(main("guardrail_events_total", ',guard="thermal"'), 2);
  assert.equal(main("penalty_ratio"), 0.025);
  assert.equal(main("integrity_failures_total", ',kind="verify"'), 1);
});

test("figures of a GPU: what it has, what is held, and nothing that the card does not say", async (context) => {
  const sick = gpuState({
    index: 1,
    uuid: "GPU-5eed0000-0000-0000-0000-000000000001",
    health: { state: "unhealthy", cause: "XID 79" },
    temperature: undefined,
  });
  const { node, scrape } = bench(context, [gpuState(), sick]);
  node.hold("a");
  node.hold("b", {});
  const series = await scrape();
  const labels = `{gpu_uuid="${uuid}",gpu="0"}`;
  assert.equal(series.get(`loretoken_gpu_physical_bytes${labels}`), 141 * GiB);
  assert.equal(series.get(`loretoken_gpu_allocated_units${labels}`), 4);
  assert.equal(series.get(`loretoken_gpu_power_watts${labels}`), 412.5);
  assert.equal(series.get(`loretoken_gpu_healthy${labels}`), 1);
  assert.equal(series.get(`loretoken_gpu_healthy{gpu_uuid="${sick.uuid}",gpu="1"}`), 0);
  assert.equal(series.get(`loretoken_gpu_temperature_celsius{gpu_uuid="${sick.uuid}",gpu="1"}`), undefined);
  assert.equal(series.get("loretoken_agent_unowned_allocations"), 1);
  assert.equal(series.get('loretoken_agent_gpu_node_writes_total{result="error"}'), 7);
});

test("series are there from the first scrape, before any process, and gone with the pod", async (context) => {
  const { node, scrape } = bench(context);
  node.hold("a");
  const name = `loretoken_container_packs_total${of("train-0", "main")}`;
  assert.equal((await scrape()).get(name), 0);
  node.holdings = [];
  const left = [...(await scrape()).keys()].filter((key) => key.startsWith("loretoken_container_"));
  assert.deepEqual(left, []);
});

test("containers of one pod, and pods of one name in two namespaces, have series of their own", async (context) => {
  const { node, scrape } = bench(context);
  const owners = [owner, { ...owner, container: "side" }, { ...owner, namespace: "other" }];
  for (const [index, each] of owners.entries()) {
    const holding = node.hold(`h${index}`, { owner: each });
    node.place(holding, new TelemetryBytes().process(0, { pid: 1 }).row(0, { pid: 1, raw_bytes: index + 1 }));
  }
  const values = [...(await scrape())].filter(([key]) => key.startsWith("loretoken_container_raw_bytes"));
  assert.deepEqual(
    values.map(([, value]) => value),
    [1, 2, 3],
  );
});

test("a pod made anew under the same name has the series, the one that is going has not", async (context) => {
  const { node, scrape } = bench(context);
  for (const [id, allocatedAt, raw] of [
    ["new", 2, 22],
    ["old", 1, 11],
  ] as const) {
    const holding = node.hold(id, { owner: { ...owner, podUid: id }, allocatedAt });
    node.place(holding, new TelemetryBytes().process(0, { pid: 1 }).row(0, { pid: 1, raw_bytes: raw }));
  }
  assert.equal((await scrape()).get(`loretoken_container_raw_bytes${of("train-0", "main")}`), 22);
});

test("gauges below zero are 0, not 17 TB; counters never step back when a process ends", async (context) => {
  const { node, scrape } = bench(context);
  const holding = node.hold("a");
  const file = new TelemetryBytes().process(0, { pid: 1 }).row(0, { pid: 1, idle_bytes: 2 ** 64 - 4096, packs: 7 });
  node.place(holding, file);
  const packs = `loretoken_container_packs_total${of("train-0", "main")}`;
  const first = await scrape();
  assert.equal(first.get(`loretoken_container_idle_bytes${of("train-0", "main")}`), 0);
  assert.equal(first.get(packs), 7);
  node.place(holding, file.wipe(0).process(0, { pid: 2 }).row(0, { pid: 2, packs: 1 }));
  assert.equal((await scrape()).get(packs), 8);
});

test("a damaged file is said, with the figures of before in its counters", async (context) => {
  const { node, scrape } = bench(context);
  const holding = node.hold("a");
  node.place(holding, new TelemetryBytes().process(0, { pid: 1 }).row(0, { pid: 1, packs: 7, raw_bytes: 1 }));
  await scrape();
  writeFileSync(holding.telemetry, "garbage".repeat(100));
  const series = await scrape();
  assert.equal(series.get(`loretoken_container_telemetry_readable${of("train-0", "main")}`), 0);
  assert.equal(series.get(`loretoken_container_packs_total${of("train-0", "main")}`), 7);
  assert.equal(series.get(`loretoken_container_raw_bytes${of("train-0", "main")}`), 0);
});

test("scrapes at the same time are whole", async (context) => {
  const { node, text } = bench(context);
  node.hold("a");
  const [one, two] = await Promise.all([text(), text()]);
  assert.equal(one, two);
  const third = await text();
  assert.equal(parse(third).size, parse(one).size);
});

test("a container's policy is there with its generation, and whether every process goes by it", async (context) => {
  const { node, scrape } = bench(context);
  const holding = node.hold("a");
  const file = new TelemetryBytes().row(0, { pid: 1, start_time: 1, policy_generation: 77 });
  node.place(holding, file);
  const of = `namespace="team",pod="train-0",container="main",gpu_uuid="${holding.gpuUuid}"`;
  const pending = `loretoken_container_policy_pending{${of}}`;
  const series = await scrape();
  assert.equal(series.get(`loretoken_container_policy_generation{${of},policy="careful",reason="Applied"}`), 3);
  assert.equal(series.get(pending), 0);
  assert.equal(series.get('loretoken_agent_policy_generation{policy="nodes",reason="Applied"}'), 2);
  assert.equal(series.get("loretoken_agent_unreadable_policies"), 1);
  assert.equal(series.get("loretoken_agent_policy_delivery_seconds"), 0.25);
  node.place(holding, file.row(1, { pid: 2, start_time: 1, policy_generation: 76 }));
  assert.equal((await scrape()).get(pending), 1);
});

test("until policies are known all is pending; without an API server there are no series of them", async (context) => {
  const unknown = bench(context, [], () => standing({ node: undefined, unreadable: [], container: () => undefined }));
  unknown.node.hold("a");
  const series = [...(await unknown.scrape())].filter(([name]) => name.includes("policy"));
  assert.ok(series.some(([name, value]) => name.startsWith("loretoken_container_policy_pending") && value === 1));
  assert.ok(series.some(([name]) => name.includes('loretoken_agent_policy_generation{policy="",reason="Pending"}')));
  const without = bench(context, [], () => undefined);
  without.node.hold("a");
  assert.deepEqual(
    [...(await without.scrape()).keys()].filter((name) => name.includes("polic")),
    [],
  );
});
