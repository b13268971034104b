/** What a container's shim is told: the settings of all, the shares of its own, and what the guardrails say of its GPU. */
import type { ControlInput } from "@loretoken/telemetry/control";
import type { Config } from "../config/schema.ts";
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

type Policy = Pick<
  Config,
  | "mode"
  | "verify"
  | "integrity"
  | "integrityThreshold"
  | "maxPenaltyPercent"
  | "hostLimit"
  | "pointerSafety"
  | "maxTemperature"
  | "minTemperatureMargin"
  | "maxPowerPercent"
>;

/** The part that is the same for all containers. */
export function policyBlock(policy: Policy): ControlInput {
  const { hostLimit, maxPowerPercent } = policy;
  const host = hostLimit !== undefined && "bytes" in hostLimit ? { hostLimit: hostLimit.bytes } : {};
  const power = maxPowerPercent === undefined ? {} : { maxPowerPermille: Math.round(maxPowerPercent * 10) };
  return {
    mode: policy.mode,
    verify: policy.verify,
    integrity: policy.integrity,
    integrityThreshold: policy.integrityThreshold,
    maxPenaltyPermille: Math.round(policy.maxPenaltyPercent * 10),
    pointerSafety: policy.pointerSafety,
    ...host,
    ...power,
    ...temperatureOf(policy),
  };
}

/** The layout has room for one limit: where both are set, degrees; the agent itself watches both. */
function temperatureOf({ maxTemperature, minTemperatureMargin }: Policy): Pick<ControlInput, "maxTemperature"> {
  if (maxTemperature !== undefined) return { maxTemperature: { milliCelsius: maxTemperature * 1000 } };
  if (minTemperatureMargin === undefined) return {};
  return { maxTemperature: { marginMilliCelsius: minTemperatureMargin * 1000 } };
}

export function blockOf(
  policy: ControlInput,
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
