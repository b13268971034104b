/** What the node's GpuNode says: who holds what, from the holdings, the GPUs and the containers' telemetry. */
import {
  type GpuContainer,
  type GpuNodeStatus,
  type GpuStatus,
  memoryQuantity,
  ratioText,
  shortMemory,
} from "@loretoken/api";
import { modes, type Usage, usageOf } from "@loretoken/telemetry";
import type { Holding } from "../holding.ts";
import type { PolicyStanding } from "../policy/delivery.ts";
import { unitBytes } from "../units/ids.ts";
import type { GpuState } from "./gpu-state.ts";

export interface NodePicture {
  agentVersion: string;
  /** Milliseconds since the epoch. */
  now: number;
  gpus: readonly GpuState[];
  holdings: readonly Holding[];
  /** By the holding's id. */
  usage: ReadonlyMap<string, Usage>;
  /** Undefined: there are no policies. */
  policies?: PolicyStanding | undefined;
}

/** As many holders are named in the summary. */
const mostHolders = 5;

interface Sum {
  raw: number;
  packed: number;
  packedLogical: number;
  host: number;
  hostLogical: number;
  mode: Usage["mode"];
}

export function gpuNodeStatusOf(picture: NodePicture): GpuNodeStatus {
  const { gpus, holdings } = picture;
  const all = sumOf(holdings.map(({ id }) => usageFor(picture, id)));
  const healthy = gpus.filter(({ health }) => health.state === "healthy").length;
  const total = (figure: (gpu: GpuState) => bigint): bigint => gpus.reduce((sum, gpu) => sum + figure(gpu), 0n);
  const count = (figure: (gpu: GpuState) => number): number => gpus.reduce((sum, gpu) => sum + figure(gpu), 0);
  return {
    agentVersion: picture.agentVersion,
    observedAt: new Date(picture.now).toISOString().replace(/\.\d+Z$/, "Z"),
    summary: {
      gpus: `${healthy}/${gpus.length}`,
      units: `${count(({ allocatedUnits }) => allocatedUnits)}/${count(({ units }) => units)}`,
      physical: shortMemory(total(({ physical }) => physical)),
      virtual: shortMemory(total(({ virtual }) => virtual)),
      raw: shortMemory(all.raw),
      packed: shortMemory(all.packed),
      host: shortMemory(all.host),
      ratio: ratioOf(all),
      mode: all.mode,
      holders: holdersOf(holdings),
    },
    ...nodePolicy(picture.policies),
    gpus: gpus.map((gpu) => gpuStatus(gpu, picture)),
    unowned: holdings.filter(({ owner }) => owner === undefined).length,
  };
}

function gpuStatus(gpu: GpuState, picture: NodePicture): GpuStatus {
  const holdings = picture.holdings.filter(({ gpuUuid }) => gpuUuid === gpu.uuid);
  const sum = sumOf(holdings.map(({ id }) => usageFor(picture, id)));
  const rounded = (name: string, value: number | undefined): object =>
    value === undefined ? {} : { [name]: Math.round(value) };
  return {
    uuid: gpu.uuid,
    index: gpu.index,
    model: gpu.model,
    health: gpu.health.state === "healthy" ? "Healthy" : "Unhealthy",
    healthCause: gpu.health.state === "healthy" ? "" : gpu.health.cause,
    physical: memoryQuantity(gpu.physical),
    virtual: memoryQuantity(gpu.virtual),
    units: gpu.units,
    allocatedUnits: gpu.allocatedUnits,
    guaranteed: memoryQuantity(gpu.guaranteed),
    ...memoryOf(sum),
    mode: sum.mode,
    ...rounded("temperatureCelsius", gpu.temperature),
    ...rounded("marginCelsius", gpu.marginToSlowdown),
    ...rounded("powerWatts", gpu.power),
    ...rounded("powerLimitWatts", gpu.powerLimit),
    containers: containersOf(holdings, picture),
  };
}

/** One entry per pod and container: two would not be told apart in the list, the newer allocation is the one that lives. */
function containersOf(holdings: readonly Holding[], picture: NodePicture): GpuContainer[] {
  const rows = new Map<string, GpuContainer>();
  for (const holding of [...holdings].sort((a, b) => a.allocatedAt - b.allocatedAt)) {
    const { owner } = holding;
    if (owner === undefined) continue;
    const usage = usageFor(picture, holding.id);
    rows.set(`${owner.namespace}/${owner.pod}/${owner.container}`, {
      namespace: owner.namespace,
      pod: owner.pod,
      podUid: owner.podUid,
      container: owner.container,
      units: holding.units.length,
      guaranteed: memoryQuantity(holding.guaranteed),
      virtual: memoryQuantity(holding.virtualSize),
      ...memoryOf(sumOf([usage])),
      processes: usage.processes,
      mode: usage.mode,
      modeCause: usage.modeGuard === "none" ? "" : cleanText(usage.modeCause),
      ...containerPolicy(picture.policies, holding.id),
    });
  }
  return [...rows].sort(([a], [b]) => a.localeCompare(b)).map(([, row]) => row);
}

function nodePolicy(policies: PolicyStanding | undefined): Partial<GpuNodeStatus> {
  if (policies === undefined) return {};
  const { policy = "", generation = 0, reason = "Pending" } = policies.node ?? {};
  const unreadable = policies.unreadable.length === 0 ? {} : { unreadablePolicies: [...policies.unreadable] };
  return { policy, policyGeneration: generation, policyReason: reason, ...unreadable };
}

function containerPolicy(policies: PolicyStanding | undefined, id: string): Partial<GpuContainer> {
  if (policies === undefined) return {};
  const { policy = "", generation = 0, reason = "Pending" } = policies.container(id) ?? {};
  return { policy, policyGeneration: generation, policyReason: reason };
}

/** Written by a program of the container. */
function cleanText(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}]+/gu, " ").trim();
}

function usageFor(picture: NodePicture, id: string): Usage {
  return picture.usage.get(id) ?? usageOf([]);
}

function sumOf(usages: readonly Usage[]): Sum {
  const total = (figure: (usage: Usage) => number): number => usages.reduce((sum, usage) => sum + figure(usage), 0);
  const strictest = Math.max(0, ...usages.map(({ mode }) => modes.indexOf(mode)));
  return {
    raw: total(({ raw_bytes }) => raw_bytes),
    packed: total(({ packed_bytes }) => packed_bytes),
    packedLogical: total(({ packed_logical }) => packed_logical),
    host: total(({ host_bytes }) => host_bytes),
    hostLogical: total(({ host_logical }) => host_logical),
    mode: modes[strictest] ?? "full",
  };
}

function memoryOf(sum: Sum): Pick<GpuStatus, "raw" | "packed" | "host" | "ratio"> {
  return {
    raw: memoryQuantity(sum.raw),
    packed: memoryQuantity(sum.packed),
    host: memoryQuantity(sum.host),
    ratio: ratioOf(sum),
  };
}

function ratioOf(sum: Sum): string {
  return ratioText(sum.packedLogical + sum.hostLogical, sum.packed + sum.host);
}

/**
 * "team/train-0=40Gi,team/infer=8Gi,+3", largest first. Units count once: an init container has those of the container that
 * runs after it.
 */
function holdersOf(holdings: readonly Holding[]): string {
  const units = new Map<string, Set<string>>();
  for (const holding of holdings) {
    if (holding.owner === undefined) continue;
    const pod = `${holding.owner.namespace}/${holding.owner.pod}`;
    units.set(pod, new Set([...(units.get(pod) ?? []), ...holding.units]));
  }
  const pods = [...units].map(([pod, held]) => [pod, BigInt(held.size) * unitBytes] as const);
  const sorted = pods.sort(([a, x], [b, y]) => (x === y ? a.localeCompare(b) : x < y ? 1 : -1));
  const named = sorted.slice(0, mostHolders).map(([pod, virtual]) => `${pod}=${shortMemory(virtual)}`);
  if (sorted.length > mostHolders) named.push(`+${sorted.length - mostHolders}`);
  return named.join(",");
}
