/** What policies mean for this node and for each of its containers. Pure: the same picture gives the same decisions. */
import {
  annotations,
  type CompressionPolicy,
  type ContainerPolicyReason,
  type NodePolicyReason,
  type NodeSettings,
  nodePolicyFor,
  type OrderedPolicies,
  type PodPolicy,
  policyFor,
  toControl,
  toNodeSettings,
} from "@loretoken/api";
import type { Config } from "../config/schema.ts";
import { type Defaults, hostBlock, limitsBlock, type PolicyBlock, policyBlock } from "../control/block.ts";
import type { Limits } from "../guard/judge.ts";
import type { Holding } from "../holding.ts";
import type { ShareSettings } from "../units/card.ts";
import { policyNumber } from "./number.ts";
import type { LabelRow, PodRow } from "./rows.ts";

/** What the API server says. Undefined objects: it has not said yet, or says no longer. */
export interface Picture {
  readonly policies: OrderedPolicies;
  /** Names of policies that are not understood. */
  readonly unreadable: ReadonlySet<string>;
  readonly node: LabelRow;
  pod(namespace: string, name: string): PodRow | undefined;
  namespace(name: string): LabelRow | undefined;
}

/** The agent's own settings: what holds where no policy says otherwise. */
export type Own = Defaults & Limits & Pick<Config, "expansion" | "reserve">;

interface Standing<R> {
  /** "" for none. */
  readonly policy: string;
  readonly generation: number;
  readonly reason: R;
}

export interface NodeDecision extends Standing<NodePolicyReason> {
  readonly shares: ShareSettings;
  readonly limits: Limits;
  /** For containers that go by no policy. */
  readonly defaults: PolicyBlock;
}

export interface ContainerDecision extends Standing<ContainerPolicyReason> {
  /** Undefined: it goes by the defaults of its node. */
  readonly block: PolicyBlock | undefined;
}

/** @param policy that of the node; undefined if it goes by the agent's settings */
export function nodeDecision(own: Own, policy: CompressionPolicy | undefined): NodeDecision {
  const said = toNodeSettings(policy);
  const limits = limitsOf(own, said);
  return {
    ...standingOf(policy, policy === undefined ? "None" : "Applied"),
    shares: { expansion: said.expansion ?? own.expansion, reserve: said.reserve ?? own.reserve },
    limits,
    defaults: policyBlock({ ...own, ...limits }),
  };
}

export function decideNode(own: Own, { policies, node }: Picture): NodeDecision {
  const { policy, suspended } = nodePolicyFor(node, policies);
  const decision = nodeDecision(own, policy);
  const [waiting] = suspended;
  return policy !== undefined || waiting === undefined
    ? decision
    : { ...decision, ...standingOf(waiting, "Suspended") };
}

/** @returns undefined if it cannot be said yet: the container keeps what it has */
export function decideContainer(
  own: Own,
  { limits, defaults }: NodeDecision,
  { owner }: Pick<Holding, "owner">,
  picture: Picture,
): ContainerDecision | undefined {
  if (owner === undefined) return undefined;
  const pod = picture.pod(owner.namespace, owner.pod);
  const namespace = picture.namespace(owner.namespace);
  // Another pod of the same name is not its owner.
  if (pod === undefined || namespace === undefined || (owner.podUid !== "" && owner.podUid !== pod.uid))
    return undefined;
  const found = policyFor(pod, namespace, picture.node, picture.policies);
  const asked = pod.metadata?.annotations?.[annotations.mode] === "off" ? ({ mode: "off" } as const) : {};
  if (found.kind !== "applies") {
    const block = "mode" in asked ? { ...defaults, ...asked } : undefined;
    return { ...missed(found, picture), block };
  }
  const { policy } = found;
  const said = { ...hostBlock(own), ...toControl(policy), ...limitsBlock(limits), ...asked };
  return { ...standingOf(policy, "Applied"), block: { ...said, policyGeneration: policyNumber(policy.metadata) } };
}

function missed(
  found: Exclude<PodPolicy, { kind: "applies" }>,
  { unreadable }: Picture,
): Standing<ContainerPolicyReason> {
  switch (found.kind) {
    case "none": {
      const [waiting] = found.suspended;
      return standingOf(waiting, waiting === undefined ? "None" : "Suspended");
    }
    case "unknown": {
      const reason = unreadable.has(found.name) ? "UnreadablePolicy" : "UnknownPolicy";
      return { policy: found.name, generation: 0, reason };
    }
    case "suspended":
      return standingOf(found.policy, "Suspended");
    case "outside":
      return standingOf(
        found.policy,
        found.selector === "namespaceSelector" ? "OutsideNamespaceSelector" : "OutsideNodeSelector",
      );
  }
}

function standingOf<R>(policy: CompressionPolicy | undefined, reason: R): Standing<R> {
  return { policy: policy?.metadata.name ?? "", generation: policy?.metadata.generation ?? 0, reason };
}

/** A policy that says anything of heat, or of power, says all of it. */
function limitsOf(own: Limits, said: NodeSettings): Limits {
  const { maxTemperature: heat, maxPowerMilliwatts, maxPowerPermille } = said;
  const { maxTemperature, minTemperatureMargin, maxPowerPercent, thermalReasons, powerReasons } = own;
  const power = maxPowerMilliwatts !== undefined || maxPowerPermille !== undefined;
  return {
    thermalReasons,
    powerReasons,
    ...(heat === undefined ? { maxTemperature, minTemperatureMargin } : degreesOf(heat)),
    ...(power
      ? { maxPowerMilliwatts, maxPowerPercent: maxPowerPermille === undefined ? undefined : maxPowerPermille / 10 }
      : { maxPowerPercent }),
  };
}

function degreesOf(
  heat: NonNullable<NodeSettings["maxTemperature"]>,
): Pick<Limits, "maxTemperature" | "minTemperatureMargin"> {
  return "milliCelsius" in heat
    ? { maxTemperature: heat.milliCelsius / 1000, minTemperatureMargin: undefined }
    : { maxTemperature: undefined, minTemperatureMargin: heat.marginMilliCelsius / 1000 };
}
