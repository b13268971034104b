/**
 * All that the agent reports, wired: what happens (an observer of the agent), what is (a page /metrics and the node's
 * GpuNode), and whose a pod is (its UID). Without an API server there are metrics, and events go to the log.
 *
 *   const reporting = new Reporting({ …, holdings: () => agent.holdings(), gpus: () => agent.gpuStates() });
 *   const agent = new Agent(config, { …, observers: [reporting.observer], pages: reporting.pages, podUid: reporting.podUid });
 *   await agent.start();
 *   reporting.start();
 *   …
 *   await agent.stop();
 *   await reporting.stop();
 */
import { components } from "@loretoken/api";
import {
  type Client,
  type Clock,
  type EventInput,
  EventRecorder,
  hasCode,
  type KubeObject,
  type Outcome,
  pathOf,
  type RecorderFigures,
  type Resource,
  systemClock,
} from "@loretoken/kube";
import { every, type Loop, type Pages } from "@loretoken/service";
import type { Alive } from "@loretoken/telemetry";
import type { Holding } from "../holding.ts";
import type { Log } from "../log.ts";
import type { GpuState as MonitoredGpu } from "../monitor/monitor.ts";
import type { Observer } from "../observer.ts";
import type { PolicyStanding } from "../policy/delivery.ts";
import { contentType } from "./exposition.ts";
import { gpuNodeStatusOf } from "./gpu-node-status.ts";
import { GpuNodeWriter, type GpuNodeWriterOptions } from "./gpu-node-writer.ts";
import { type GpuState, reportedGpu } from "./gpu-state.ts";
import { telemetryResized } from "./guard-events.ts";
import { Metrics } from "./metrics.ts";
import { NodeEvents } from "./node-events.ts";
import { NodeOwner } from "./node-owner.ts";
import { TelemetryWatch } from "./telemetry-watch.ts";

export interface ReportingOptions {
  version: string;
  /** Name of the Node. */
  node: string;
  /** Left out: no API server. */
  client?: Client | undefined;
  holdings: () => readonly Holding[];
  gpus: () => readonly MonitoredGpu[];
  /** Left out, or undefined: there are no policies. */
  policies?: () => PolicyStanding | undefined;
  log: Log;
  /** Whether a process of a container lives, for an agent that sees the host's processes. */
  alive?: Alive | undefined;
  clock?: Clock;
  /** Asked between the steps of what takes long. */
  giveWay?: (() => Promise<void>) | undefined;
  /** Milliseconds between two looks of its own at the telemetry files; left out: it goes by the monitor's, which `observer` is told. */
  pollEvery?: number;
}

interface Recorder {
  record(input: EventInput, settled?: (outcome: Outcome) => void): boolean;
  readonly figures: RecorderFigures;
}

const pods: Resource = { apiVersion: "v1", kind: "Pod", plural: "pods", namespaced: true };
/** For events that wait when the agent ends; the rest is read from the rings again. */
const flushWithin = 2000;

export class Reporting {
  readonly observer: Required<Observer>;
  readonly pages: Pages;
  readonly metrics: Metrics;
  readonly #options: ReportingOptions;
  readonly #clock: Clock;
  readonly #recorder: Recorder;
  readonly #delivery: EventRecorder | undefined;
  readonly #watch: TelemetryWatch;
  readonly #gpuNode: GpuNodeWriter | undefined;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>[] = [];
  #loop: Loop | undefined;

  constructor(options: ReportingOptions) {
    const { client, node, version, holdings, log, alive, giveWay, clock = systemClock } = options;
    this.#options = options;
    this.#clock = clock;
    const reporter = { component: components.agent, instance: node };
    this.#delivery = client === undefined ? undefined : new EventRecorder({ client, reporter, clock, log });
    this.#recorder = this.#delivery ?? logRecorder(log);
    const now = (): number => clock.now();
    const seen = alive === undefined ? {} : { alive };
    this.#watch = new TelemetryWatch({ holdings, recorder: this.#recorder, log, now, ...seen });
    const status = () => this.#status();
    if (client !== undefined) {
      const nodeOwner = new NodeOwner({ client, node, log });
      const owner: GpuNodeWriterOptions["owner"] = (signal) => nodeOwner.reference(signal);
      this.#gpuNode = new GpuNodeWriter({ client, node, status, log, clock, owner });
    }
    this.metrics = new Metrics({
      version,
      watch: this.#watch,
      gpus: () => this.#gpus(),
      holdings,
      recorder: this.#recorder,
      policies: () => options.policies?.(),
      giveWay,
      gpuNode: this.#gpuNode ?? { writes: { ok: 0, error: 0 } },
    });
    this.pages = { "/metrics": async () => ({ status: 200, body: await this.metrics.render(), type: contentType }) };
    this.observer = this.#observer(new NodeEvents(node, this.#recorder));
  }

  /** The pod's UID; "" if there is no such pod, or no API server. @throws {ApiError}, {UnreachableError} */
  readonly podUid = async (namespace: string, name: string): Promise<string> => {
    const { client } = this.#options;
    if (client === undefined) return "";
    try {
      const pod = await client.request<KubeObject>({ method: "GET", path: pathOf(pods, { namespace, name }) });
      return pod.metadata?.uid ?? "";
    } catch (error) {
      if (hasCode(error, 404)) return "";
      throw error;
    }
  };

  start(): void {
    const { pollEvery, log } = this.#options;
    const { signal } = this.#ending;
    if (pollEvery !== undefined) this.#loop = every(pollEvery, "telemetry", log, () => this.#watch.poll());
    if (this.#delivery !== undefined) this.#running.push(this.#delivery.run(signal));
    if (this.#gpuNode !== undefined) this.#running.push(this.#gpuNode.run(signal));
  }

  /** A last look, then what waits is delivered as far as the API server answers; in about two seconds at most. */
  async stop(): Promise<void> {
    await this.#loop?.stop();
    this.#watch.poll();
    this.#ending.abort();
    await Promise.all(this.#running);
    await this.#delivery?.flush(AbortSignal.timeout(flushWithin));
    this.#watch.save();
    this.#options.client?.close();
  }

  #observer(events: NodeEvents): Required<Observer> {
    const illSince = new Map<string, number>();
    return {
      verdictChanged: ({ gpuUuid, before, after }) => events.verdict(gpuUuid, before, after),
      healthChanged: ({ gpuUuid, health }) => {
        const since = illSince.get(gpuUuid);
        if (health.state === "unhealthy") {
          if (since === undefined) illSince.set(gpuUuid, this.#clock.now());
          events.unhealthy(gpuUuid, health.cause);
          return;
        }
        illSince.delete(gpuUuid);
        events.recovered(gpuUuid, since === undefined ? undefined : this.#clock.now() - since);
      },
      xid: ({ gpuUuid, xid, at }) => {
        if (xid !== 0) events.xid(gpuUuid, xid, at);
        else events.ecc(gpuUuid, this.#uncorrected(gpuUuid), at);
      },
      refused: ({ reason, message, gpuUuid }) => events.refused(reason, message, gpuUuid),
      releasing: ({ id }) => this.#watch.readNow(id),
      renewing: ({ id }) => this.#watch.readNow(id),
      telemetryResized: ({ holding, bytes }) => {
        const { owner } = holding;
        if (owner !== undefined) this.#recorder.record(telemetryResized(holding, owner, bytes));
      },
      glanced: ({ holding, glance }) => this.#watch.glanced(holding, glance),
    };
  }

  #uncorrected(gpuUuid: string): number | undefined {
    return this.#options.gpus().find(({ uuid }) => uuid === gpuUuid)?.reading?.uncorrectedErrors;
  }

  #gpus(): GpuState[] {
    return this.#options.gpus().map(reportedGpu);
  }

  #status() {
    return gpuNodeStatusOf({
      agentVersion: this.#options.version,
      now: this.#clock.now(),
      gpus: this.#gpus(),
      holdings: this.#options.holdings(),
      policies: this.#options.policies?.(),
      usage: new Map(this.#watch.containers.map(({ holding, usage }) => [holding.id, usage])),
    });
  }
}

/** Where there is no API server: told in the log, and settled. */
function logRecorder(log: Log): Recorder {
  const figures = { waiting: 0, delivered: 0, refused: 0, rejected: 0, retries: 0 };
  return {
    figures,
    record({ reason, message, regarding }, settled) {
      log.info({ reason, event: message, regarding }, "event");
      // Not at once: who records is in the middle of something.
      queueMicrotask(() => settled?.("delivered"));
      return true;
    },
  };
}
