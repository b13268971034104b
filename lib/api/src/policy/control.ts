/** What a policy means for those who carry it out: fields of the control block, settings of the node's agent. */
import type { ControlInput } from "@loretoken/telemetry/control";
import { parseQuantity } from "../quantity.ts";
import type { CompressionPolicy } from "./compression-policy.ts";

/** What a policy says of a control block; signs of life, shares and verdicts are the agent's. */
export type PolicyControl = Omit<ControlInput, "heartbeat" | "devices">;

type NodeLimits = Pick<PolicyControl, "maxTemperature" | "maxPowerMilliwatts" | "maxPowerPermille">;

/** What is left out goes by the agent's own setting. */
export interface NodeSettings extends NodeLimits {
  readonly expansion?: number;
  /** Of each GPU: bytes, or a share of it. */
  readonly reserve?: { readonly bytes: bigint } | { readonly permille: number };
}

/**
 * The control block of a container.
 * @param policy that of its pod
 * @param node the settings of its node, which may come from another policy; here only the limits count
 */
export function toControl({ metadata, spec }: CompressionPolicy, node: NodeSettings = {}): PolicyControl {
  const { guardrails, codecs, tiers } = spec;
  const { expansion: _, reserve: __, ...limits } = node;
  return {
    policyGeneration: metadata.generation ?? 0,
    mode: spec.mode,
    verify: spec.verify,
    integrity: guardrails.integrity.action,
    integrityThreshold: guardrails.integrity.threshold,
    integrityWindowSeconds: guardrails.integrity.windowSeconds,
    maxPenaltyPermille: guardrails.penalty.maxPercent * 10,
    penaltyWindowMilliseconds: guardrails.penalty.windowSeconds * 1000,
    pointerSafety: spec.pointerSafety,
    ...(codecs.allow === undefined ? {} : { codecs: codecs.allow }),
    ...hostLimit(tiers.host),
    ...limits,
  };
}

/** @param policy that of the node, as `nodePolicyFor` finds it */
export function toNodeSettings(policy: CompressionPolicy | undefined): NodeSettings {
  if (policy === undefined) return {};
  const { expansion, physicalReserve, guardrails } = policy.spec;
  return {
    ...(expansion === undefined ? {} : { expansion }),
    ...(physicalReserve === undefined ? {} : { reserve: reserveOf(physicalReserve) }),
    ...temperature(guardrails.thermal),
    ...power(guardrails.power),
  };
}

type Spec = CompressionPolicy["spec"];

function hostLimit({ enabled, limitPerContainer }: Spec["tiers"]["host"]): Pick<PolicyControl, "hostLimit"> {
  if (!enabled) return { hostLimit: 0n };
  return limitPerContainer === undefined ? {} : { hostLimit: bytesOf(limitPerContainer) };
}

function reserveOf(text: string): { bytes: bigint } | { permille: number } {
  return text.endsWith("%") ? { permille: Math.round(Number(text.slice(0, -1)) * 10) } : { bytes: bytesOf(text) };
}

function temperature(thermal: Spec["guardrails"]["thermal"]): Pick<NodeLimits, "maxTemperature"> {
  const { maxCelsius, marginCelsius } = thermal ?? {};
  if (maxCelsius !== undefined) return { maxTemperature: { milliCelsius: maxCelsius * 1000 } };
  return marginCelsius === undefined ? {} : { maxTemperature: { marginMilliCelsius: marginCelsius * 1000 } };
}

function power(limit: Spec["guardrails"]["power"]): Pick<NodeLimits, "maxPowerMilliwatts" | "maxPowerPermille"> {
  const { maxWatts, maxPercent } = limit ?? {};
  return {
    ...(maxWatts === undefined ? {} : { maxPowerMilliwatts: maxWatts * 1000 }),
    ...(maxPercent === undefined ? {} : { maxPowerPermille: maxPercent * 10 }),
  };
}

/** The schema has let only quantities through. */
function bytesOf(quantity: string): bigint {
  const bytes = parseQuantity(quantity);
  if (bytes === undefined) throw new RangeError(`${quantity} is no quantity: the policy was not parsed by its schema`);
  return bytes;
}
