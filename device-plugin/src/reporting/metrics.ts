/**
 * /metrics of the agent. Everything is set anew at each scrape from what is there, so that series of a pod are gone with the
 * first scrape after its end; counters come from sums that never step back.
 */
import { readdirSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { RecorderFigures } from "@loretoken/kube";
import { codecs, guards, modes, pins } from "@loretoken/telemetry";
import type { Holding } from "../holding.ts";
import type { PolicyStanding } from "../policy/delivery.ts";
import type { ContainerTelemetry } from "./container-telemetry.ts";
import { Exposition, labelsOf, type WrittenLabels } from "./exposition.ts";
import type { GpuState } from "./gpu-state.ts";
import { type MetricName, metricCatalog } from "./metric-catalog.ts";
import type { TelemetryWatch } from "./telemetry-watch.ts";

export interface MetricsOptions {
  version: string;
  watch: Pick<TelemetryWatch, "containers" | "refresh" | "eventsLost">;
  gpus: () => readonly GpuState[];
  holdings: () => readonly Holding[];
  recorder: { readonly figures: RecorderFigures };
  /** Left out, or undefined: there are no policies, and no series of them. */
  policies?: () => PolicyStanding | undefined;
  /** Writes of the GpuNode so far. */
  gpuNode: { readonly writes: { readonly ok: number; readonly error: number } };
  /** Figures older than this are read anew for a scrape, milliseconds: scrapes by several servers cost one reading. */
  maxAge?: number;
  /** Asked between the steps of a scrape; left out: everything else has a turn. */
  giveWay?: (() => Promise<void>) | undefined;
}

/** The end of a name that begins so. */
type Of<Subject extends string> = MetricName extends infer Name
  ? Name extends `loretoken_${Subject}_${infer End}`
    ? End
    : never
  : never;

export class Metrics {
  readonly #options: MetricsOptions;
  readonly #page = new Exposition<MetricName>(metricCatalog);
  #scrape: Promise<readonly string[]> | undefined;
  #scrapeSeconds = 0;

  constructor(options: MetricsOptions) {
    this.#options = options;
  }

  /** The text of a scrape, in parts; scrapes at the same time share one. */
  render(): Promise<readonly string[]> {
    this.#scrape ??= this.#render().finally(() => {
      this.#scrape = undefined;
    });
    return this.#scrape;
  }

  async #render(): Promise<readonly string[]> {
    const start = performance.now();
    const { watch, maxAge = 1000, giveWay = nextTurn } = this.#options;
    this.#page.clear();
    // Gives way after each: Allocate does not wait for a whole scrape.
    for (const container of newestOf(watch.containers)) {
      watch.refresh(maxAge, [container]);
      this.#container(container);
      await giveWay();
    }
    for (const state of this.#options.gpus()) this.#gpu(state);
    this.#agent();
    const parts: string[] = [];
    for (const part of this.#page.take()) {
      parts.push(part);
      await giveWay();
    }
    this.#scrapeSeconds = (performance.now() - start) / 1000;
    return parts;
  }

  /** @param value undefined or no number: there is no such series */
  #set(name: MetricName, labels: WrittenLabels, value: number | undefined): void {
    if (value !== undefined && Number.isFinite(value)) this.#page.add(name, labels, value);
  }

  #container(container: ContainerTelemetry): void {
    const { holding, usage, counters } = container;
    const { owner } = holding;
    if (owner === undefined) return;
    const { namespace, pod, container: name } = owner;
    const labels = labelsOf({ namespace, pod, container: name, gpu_uuid: holding.gpuUuid });
    const set = (name: Of<"container">, value: number | undefined, more?: WrittenLabels): void =>
      this.#set(`loretoken_container_${name}`, more === undefined ? labels : `${labels},${more}`, value);

    set("virtual_bytes", Number(holding.virtualSize));
    set("guaranteed_bytes", Number(holding.guaranteed));
    set("units", holding.units.length);
    set("live_bytes", usage.live_bytes);
    set("raw_bytes", usage.raw_bytes);
    set("packed_bytes", usage.packed_bytes);
    set("packed_logical_bytes", usage.packed_logical);
    set("host_bytes", usage.host_bytes);
    set("host_logical_bytes", usage.host_logical);
    set("idle_bytes", usage.idle_bytes);
    set("foreign_bytes", usage.foreign_bytes);
    set("held_bytes", usage.held_bytes);
    const stored = usage.packed_bytes + usage.host_bytes;
    set("ratio", stored > 0 ? (usage.packed_logical + usage.host_logical) / stored : 1);
    set("processes", usage.processes);
    for (const mode of modes) set("mode", usage.mode === mode ? 1 : 0, one("mode", mode));
    for (const [index, { name }] of pins.entries()) set("pins", usage.pins[index] ?? 0, one("reason", name));
    set("penalty_ratio", usage.penaltyPermille / 1000);
    set("telemetry_readable", container.fault === undefined ? 1 : 0);

    this.#containerPolicy(container, set);

    set("launches_total", counters.launches);
    set("slow_launches_total", counters.slow_launches);
    set("packs_total", counters.packs);
    set("forced_packs_total", counters.forced_packs);
    set("unpacks_total", counters.unpacks);
    const packed = codecs.reduce((sum, _, index) => sum + (counters.codec_in[index] ?? 0), 0);
    set("moved_bytes_total", packed, one("move", "pack"));
    set("moved_bytes_total", counters.unpack_bytes, one("move", "unpack"));
    set("moved_bytes_total", counters.spill_bytes, one("move", "spill"));
    set("moved_bytes_total", counters.fetch_bytes, one("move", "fetch"));
    set("wait_seconds_total", counters.wait_ns / 1e9);
    set("stall_seconds_total", counters.stall_ns / 1e9);
    set("out_of_memory_total", counters.out_of_memory);
    set("integrity_failures_total", counters.verify_failures, one("kind", "verify"));
    set("integrity_failures_total", counters.checksum_failures, one("kind", "checksum"));
    for (const [index, guard] of guards.entries()) {
      if (guard !== "none") set("guardrail_events_total", counters.guard_events[index] ?? 0, one("guard", guard));
    }
  }

  #containerPolicy(
    { holding, usage }: ContainerTelemetry,
    set: (name: Of<"container">, value: number, more?: WrittenLabels) => void,
  ): void {
    const policies = this.#options.policies?.();
    if (policies === undefined) return;
    const { policy = "", generation = 0, reason = "Pending", block } = policies.container(holding.id) ?? {};
    const labels = labelsOf({ policy, reason });
    set("policy_generation", generation, labels);
    const number = block?.policyGeneration ?? 0;
    const behind = reason === "Pending" || usage.policyNumbers.some((other) => other !== number);
    set("policy_pending", behind ? 1 : 0);
  }

  #gpu(state: GpuState): void {
    const labels = labelsOf({ gpu_uuid: state.uuid, gpu: String(state.index) });
    const set = (name: Of<"gpu">, value: number | undefined, more?: WrittenLabels): void =>
      this.#set(`loretoken_gpu_${name}`, more === undefined ? labels : `${labels},${more}`, value);
    set("info", 1, labelsOf({ model: state.model }));
    set("physical_bytes", Number(state.physical));
    set("virtual_bytes", Number(state.virtual));
    set("guaranteed_bytes", Number(state.guaranteed));
    set("units", state.units);
    set("allocated_units", state.allocatedUnits);
    set("healthy", state.health.state === "healthy" ? 1 : 0);
    set("temperature_celsius", state.temperature);
    set("temperature_margin_celsius", state.marginToSlowdown);
    set("power_watts", state.power);
    set("power_limit_watts", state.powerLimit);
  }

  #agent(): void {
    const { version, watch, holdings, recorder, gpuNode } = this.#options;
    const figures = recorder.figures;
    const set = (name: MetricName, value: number | undefined, labels = ""): void => this.#set(name, labels, value);
    set("loretoken_agent_info", 1, labelsOf({ version }));
    set("loretoken_agent_unowned_allocations", holdings().filter(({ owner }) => owner === undefined).length);
    set("loretoken_agent_events_waiting", figures.waiting);
    set("loretoken_agent_events_delivered_total", figures.delivered);
    set("loretoken_agent_events_refused_total", figures.refused);
    set("loretoken_agent_events_rejected_total", figures.rejected);
    set("loretoken_agent_event_retries_total", figures.retries);
    set("loretoken_agent_guardrail_events_lost_total", watch.eventsLost);
    set("loretoken_agent_gpu_node_writes_total", gpuNode.writes.ok, one("result", "ok"));
    set("loretoken_agent_gpu_node_writes_total", gpuNode.writes.error, one("result", "error"));
    const policies = this.#options.policies?.();
    if (policies !== undefined) {
      const { policy = "", generation = 0, reason = "Pending" } = policies.node ?? {};
      set("loretoken_agent_policy_generation", generation, labelsOf({ policy, reason }));
      set("loretoken_agent_unreadable_policies", policies.unreadable.length);
      set("loretoken_agent_policy_delivery_seconds", policies.deliverySeconds);
    }
    set("loretoken_agent_scrape_seconds", this.#scrapeSeconds);
    const cpu = process.cpuUsage();
    set("process_cpu_seconds_total", (cpu.user + cpu.system) / 1e6);
    set("process_resident_memory_bytes", process.memoryUsage.rss());
    set("process_open_fds", openFiles());
    set("process_start_time_seconds", Math.round(Date.now() / 1000 - process.uptime()));
  }
}

/** A label whose value needs no escape. */
function one(name: string, value: string): WrittenLabels {
  return `${name}="${value}"`;
}

/** A pod that was made anew under the same name has the series, not the one before it that is just going. */
function newestOf(containers: readonly ContainerTelemetry[]): ContainerTelemetry[] {
  const newest = new Map<string, ContainerTelemetry>();
  for (const container of containers) {
    const { owner, gpuUuid, allocatedAt } = container.holding;
    if (owner === undefined) continue;
    const key = [owner.namespace, owner.pod, owner.container, gpuUuid].join("/");
    const other = newest.get(key);
    if (other === undefined || other.holding.allocatedAt <= allocatedAt) newest.set(key, container);
  }
  return [...newest.values()];
}

function openFiles(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return undefined;
  }
}
