/** The two things that are shown with pods: a card shared, and the penalty guardrail. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { CoreV1Api, CustomObjectsApi } from "@kubernetes/client-node";
import type { GpuNode } from "@loretoken/api";
import type { Device } from "@loretoken/nvml";
import { NODE_NAME, until } from "@loretoken/test-cluster";
import type { Agent } from "./agent.ts";
import { type Cluster, namespace } from "./cluster.ts";
import { outcome, type Program, type Programs, podOf } from "./programs.ts";
import type { Settings } from "./settings.ts";
import { gib, type Table } from "./table.ts";
import { type Sample, Watch } from "./watch.ts";

export interface Stage {
  readonly cluster: Cluster;
  readonly agent: Agent;
  readonly device: Device;
  readonly settings: Settings;
  readonly table: Table;
  readonly programs: Programs;
  /** What each program's proof is without LoreToken. */
  readonly plain: Readonly<Record<string, string>>;
  readonly logs: string;
  readonly results: Record<string, unknown>;
}

/** Left for what comes after the last pod. */
const reserveMs = 30_000;

/** @param meanwhile called once both programs compute */
export async function sharing(stage: Stage, meanwhile?: () => Promise<void>): Promise<void> {
  const { cluster, agent, settings, table, programs } = stage;
  const { pods } = cluster;
  const watch = new Watch(agent, stage.device, stage.logs);
  const watching = watch.run();
  for (const program of [programs.over, programs.train]) await pods.create(podOf(program, settings));
  const limit = () => Math.max(10_000, settings.end - reserveMs - Date.now());
  const both = async () => {
    const computing = (name: string) => watch.of(name).some(({ counters }) => counters.launches > 0);
    await until("both programs compute", () => computing("over") && computing("train"), { timeoutMs: 90_000 });
    await meanwhile?.();
  };
  const [over, train, node] = await Promise.all([
    outcome(pods, "over", limit()),
    outcome(pods, "train", limit()),
    gpuNodeWith(cluster, ["over", "train"]).catch((error: Error) => error),
    both().catch((error: Error) => table.add("both programs compute at the same time", false, error.message)),
  ]);
  watch.stop();
  await watching;
  keep(stage, "sharing", watch);
  for (const [name, { output }] of Object.entries({ over, train }))
    writeFileSync(path.join(stage.logs, `pod-${name}.log`), output);

  for (const name of ["over", "train"]) await pods.remove(name);
  judge(stage, programs.over, over, "its bytes are those of the plain run");
  judge(stage, programs.train, train, "its loss bits are those of the plain run");
  const share = watch.of("over").at(-1)?.guaranteed ?? 0;
  const live = watch.peak("over", ({ live: bytes }) => bytes);
  const packed = watch.peak("over", (sample) => sample.packed);
  const held = watch.peak("over", (sample) => sample.held);
  const told = `${gib(live)} live, ${gib(held)} held of a share of ${gib(share)}, ${gib(packed)} packed`;
  table.add("over holds more than its share of the card", live > share && packed > 0 && held <= share, told);
  const { train: fits } = { train: watch.of("train").at(-1) };
  table.add("train beside it", fits !== undefined, fits === undefined ? "no sample" : figures(fits));
  reports(table, watch);
  if (node instanceof Error) table.add("GpuNode names both pods", false, node.message);
  else {
    const seen = node.status?.summary;
    table.add(
      "GpuNode names both pods",
      true,
      `units ${seen?.units}, raw ${seen?.raw}, packed ${seen?.packed}, holders ${seen?.holders}`,
    );
    stage.results.gpuNode = node.status;
  }
}

/** The agent is given a low limit; a program that must wait for its memory then has packing lessened. */
export async function penalty(stage: Stage): Promise<void> {
  const { cluster, agent, settings, table, programs } = stage;
  const percent = process.env.NODE_PENALTY ?? "1";
  await agent.reconfigure({ "max-penalty-percent": percent, ...(settings.simulated && { "context-size": "0MiB" }) });
  table.add(`the agent takes --max-penalty-percent=${percent}`, true, `${await agent.offered()} units offered again`);
  const watch = new Watch(agent, stage.device, stage.logs);
  const watching = watch.run();
  await cluster.pods.create(podOf(programs.squeezed, settings));
  const ended = await outcome(cluster.pods, "squeezed", Math.max(10_000, settings.end - reserveMs - Date.now()));
  watch.stop();
  await watching;
  keep(stage, "penalty", watch);
  writeFileSync(path.join(stage.logs, "pod-squeezed.log"), ended.output);
  judge(stage, programs.squeezed, ended, "its bits are those of the plain run");
  let last = "";
  for (const sample of watch.of("squeezed")) {
    const { mode, modeGuard, modeCause, backoff, penaltyPermille, pins } = sample;
    const state = `mode ${mode} (${modeGuard}${modeCause && `: ${modeCause}`}), backoff ${backoff}, pins ${JSON.stringify(pins)}`;
    if (state !== last) table.say(`  ${(sample.at / 1000).toFixed(0)} s: penalty ${penaltyPermille / 10} %, ${state}`);
    last = state;
  }
  const events = await eventsOf(cluster, "squeezed");
  for (const event of events) table.say(`  Event ${event}`);
  await cluster.pods.remove("squeezed");
  const acted = watch
    .of("squeezed")
    .filter(({ modeGuard, pins }) => modeGuard === "penalty" || (pins.penalty ?? 0) > 0);
  const told = events.filter((event) => event.startsWith("PenaltyBackoff"));
  const worst = watch.peak("squeezed", ({ penaltyPermille }) => penaltyPermille) / 10;
  table.add(
    "the penalty guardrail acts",
    acted.length > 0,
    `penalty ${worst} % at most, limit ${percent} %; ${acted.length} samples with an action`,
  );
  table.add("it is told as an Event on the pod", told.length > 0, told[0] ?? "none");
}

function judge({ table, plain }: Stage, program: Program, ended: { code: number; output: string }, what: string): void {
  const proof = program.proof(ended.output);
  const ok = ended.code === 0 && proof !== undefined && proof === plain[program.name];
  const end = ended.output.trim().split("\n").slice(-12).join("\n");
  table.add(
    `${program.name}: ${what}`,
    ok,
    ok ? proof.slice(0, 60) : `exit ${ended.code}; ${proof?.slice(0, 60) ?? end}`,
  );
  if (!ok) table.say(end);
}

function reports(table: Table, watch: Watch): void {
  const { agreements, cards, faults } = watch;
  const differ = agreements.filter(({ agrees }) => !agrees);
  const seen = differ.length === 0 ? `${agreements.length} comparisons agree` : JSON.stringify(differ.slice(0, 3));
  table.add("/metrics and telemetry agree while they run", agreements.length > 0 && differ.length === 0, seen);
  const memory = Math.max(0, ...cards.map(({ usedBytes }) => usedBytes ?? 0));
  const most = (figure: (card: (typeof cards)[number]) => number | undefined) =>
    Math.max(0, ...cards.map((card) => figure(card) ?? 0));
  table.add(
    "the card meanwhile, by NVML",
    cards.length > 0,
    `${gib(memory)} used, ${most(({ watts }) => watts).toFixed(0)} W, ${most(({ celsius }) => celsius)} °C, ${most(({ processes }) => processes)} processes`,
  );
  if (faults.length > 0) table.say(`  samples that failed: ${[...new Set(faults)].join("; ")}`);
}

function keep({ results }: Stage, name: string, { samples, cards, agreements }: Watch): void {
  results[name] = { samples, cards, agreements };
}

function figures({ live, raw, packed, held, guaranteed, counters, penaltyPermille }: Sample): string {
  return `${gib(live)} live, ${gib(raw)} raw, ${gib(packed)} packed, ${gib(held)} held of ${gib(guaranteed)}; ${counters.launches} launches, penalty ${penaltyPermille / 10} %`;
}

/** The latest GpuNode, once it has named each of these pods, together or one after the other. */
async function gpuNodeWith(cluster: Cluster, names: readonly string[]): Promise<GpuNode> {
  const api = cluster.config().makeApiClient(CustomObjectsApi);
  const name = { group: "loretoken.dev", version: "v1alpha1", plural: "gpunodes", name: NODE_NAME };
  const missing = new Set(names);
  return until(
    `GpuNode names ${names.join(" and ")}`,
    async () => {
      const object = (await api.getClusterCustomObject(name)) as GpuNode;
      const text = JSON.stringify(object.status?.gpus ?? []);
      for (const pod of missing) if (text.includes(`"${pod}"`)) missing.delete(pod);
      return missing.size === 0 && object;
    },
    { timeoutMs: 60_000, everyMs: 500 },
  );
}

/** `<reason> ×<count>: <message>`, those that the agent wrote. */
async function eventsOf(cluster: Cluster, pod: string): Promise<string[]> {
  const api = cluster.config().makeApiClient(CoreV1Api);
  const list = async () =>
    (await api.listNamespacedEvent({ namespace, fieldSelector: `involvedObject.name=${pod}` })).items;
  await until(
    "a guardrail's Event",
    async () => (await list()).some(({ source, reason }) => source?.component !== "kubelet" && reason !== "Scheduled"),
    {
      timeoutMs: 15_000,
    },
  ).catch(() => {});
  return (await list()).map(({ reason, count, message }) => `${reason} ×${count ?? 1}: ${message}`);
}
