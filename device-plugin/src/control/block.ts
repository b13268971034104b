/** What a container's shim is told: the settings of all, the shares of its own, and what the guardrails say of its GPU. */
import type { ControlInput } from "@loretoken/telemetry/control";
import type { Config } from "../config/schema.ts";
import type { Limits } from "../guard/judge.ts";
import type { Holding } from "../holding.ts";

/** What the agent's guardrails decided for one GPU. */
export interface Verdict {
  readonly mode: "full" | "hold" | "off";
  readonly guard: "thermal" | "power" | "device";
  /** Milli-degrees (thermal), milliwatts (power), XID (device). */
  readonly figure: number;
  /** What it was compared with, in the same unit; 0: a state, not a figure. */
  readonly limit: number;
  /** Packing runs at 1 / 2^n of its rate. */
  readonly backoff: number;
}

export type Defaults = Pick<
  Config,
  "mode" | "verify" | "integrity" | "integrityThreshold" | "maxPenaltyPercent" | "hostLimit" | "pointerSafety"
>;

/** What a policy says, or the settings in its stead; the rest of a block is the agent's own. */
export type PolicyBlock = Omit<ControlInput, "heartbeat" | "devices">;

/** For containers that go by no policy. */
export function policyBlock(policy: Defaults & Limits): PolicyBlock {
  return {
    mode: policy.mode,
    verify: policy.verify,
    integrity: policy.integrity,
    integrityThreshold: policy.integrityThreshold,
    maxPenaltyPermille: Math.round(policy.maxPenaltyPercent * 10),
    pointerSafety: policy.pointerSafety,
    ...hostBlock(policy),
    ...limitsBlock(policy),
  };
}

/** Host memory, where the settings say something of it. */
export function hostBlock({ hostLimit }: Pick<Config, "hostLimit">): Pick<PolicyBlock, "hostLimit"> {
  return hostLimit !== undefined && "bytes" in hostLimit ? { hostLimit: hostLimit.bytes } : {};
}

/** What the shim goes by where no agent tells it verdicts. */
export function limitsBlock(
  limits: Limits,
): Pick<PolicyBlock, "maxTemperature" | "maxPowerMilliwatts" | "maxPowerPermille"> {
  const { maxPowerPercent, maxPowerMilliwatts } = limits;
  return {
    ...temperatureOf(limits),
    ...(maxPowerPercent === undefined ? {} : { maxPowerPermille: Math.round(maxPowerPercent * 10) }),
    ...(maxPowerMilliwatts === undefined ? {} : { maxPowerMilliwatts }),
  };
}

/** The layout has room for one limit: where both are set, degrees; the agent itself watches both. */
function temperatureOf({ maxTemperature, minTemperatureMargin }: Limits): Pick<ControlInput, "maxTemperature"> {
  if (maxTemperature !== undefined) return { maxTemperature: { milliCelsius: maxTemperature * 1000 } };
  if (minTemperatureMargin === undefined) return {};
  return { maxTemperature: { marginMilliCelsius: minTemperatureMargin * 1000 } };
}

export function blockOf(
  policy: PolicyBlock,
  holding: Pick<Holding, "gpuUuid" | "guaranteed" | "virtualSize">,
  verdict: Verdict | undefined,
  heartbeat: bigint,
): ControlInput {
  const { gpuUuid: uuid, guaranteed: limit, virtualSize } = holding;
  const said =
    verdict === undefined
      ? {}
      : {
          verdict: { mode: verdict.mode, guard: verdict.guard, figure: verdict.figure, limit: verdict.limit },
          backoff: verdict.backoff,
        };
  return { ...policy, heartbeat, devices: [{ uuid, limit, virtualSize, ...said }] };
}
