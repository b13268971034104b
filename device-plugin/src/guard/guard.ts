/** The guardrails of one GPU: heat, power, faults of the device. The strictest decides. */
import type { Reading } from "@loretoken/nvml";
import type { Verdict } from "../control/block.ts";
import { judgeHeat, judgePower, type Limits } from "./judge.ts";
import { type Level, Rail, type RailSettings } from "./rail.ts";

export interface GuardSettings {
  readonly limits: Limits;
  readonly rail: RailSettings;
}

const modes = ["full", "full", "hold", "off"] as const;

export class GpuGuard {
  /** May change while it watches: the next look goes by them, and steps that were taken are taken back as after any calm. */
  limits: Limits;
  readonly #heat: Rail;
  readonly #power: Rail;

  constructor(settings: GuardSettings) {
    this.limits = settings.limits;
    this.#heat = new Rail(settings.rail);
    this.#power = new Rail(settings.rail);
  }

  /**
   * What holds after this look; undefined: nothing.
   * @param reading undefined if the GPU does not answer: the rails stay where they are.
   * @param faultXid the XID it is ill of, 0 for another illness, undefined if it is well.
   */
  look(reading: Reading | undefined, faultXid: number | undefined, now: number): Verdict | undefined {
    const found: Verdict[] = [];
    if (faultXid !== undefined) found.push({ mode: "hold", guard: "device", figure: faultXid, limit: 0, backoff: 1 });
    if (reading !== undefined) {
      const heat = judgeHeat(reading, this.limits);
      const power = judgePower(reading, this.limits);
      found.push(...verdictOf("thermal", this.#heat.look(heat.strain, now), heat));
      found.push(...verdictOf("power", this.#power.look(power.strain, now), power));
    }
    return found.reduce<Verdict | undefined>(
      (a, b) => (a === undefined || strictness(b) > strictness(a) ? b : a),
      undefined,
    );
  }
}

function verdictOf(
  guard: "thermal" | "power",
  level: Level,
  { figure, limit }: { readonly figure: number; readonly limit: number },
): Verdict[] {
  return level === 0 ? [] : [{ mode: modes[level], guard, figure, limit, backoff: 1 }];
}

function strictness({ mode, backoff }: Verdict): number {
  return modes.lastIndexOf(mode) * 100 + backoff;
}

/** Whether two verdicts ask for the same; figures may differ. */
export function sameVerdict(a: Verdict | undefined, b: Verdict | undefined): boolean {
  return a?.mode === b?.mode && a?.guard === b?.guard && a?.backoff === b?.backoff;
}
