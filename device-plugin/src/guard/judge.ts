/** How a GPU's figures stand to their limits. */
import type { Reading } from "@loretoken/nvml";
import type { Config } from "../config/schema.ts";
import type { Strain } from "./rail.ts";

export interface Judgement {
  readonly strain: Strain;
  /** What was measured and its limit, in one unit: milli-degrees or milliwatts. A limit of 0: the card itself slows down. */
  readonly figure: number;
  readonly limit: number;
}

export type Limits = Pick<
  Config,
  "maxTemperature" | "minTemperatureMargin" | "thermalReasons" | "maxPowerPercent" | "powerReasons"
> & {
  /** From policies alone. */
  readonly maxPowerMilliwatts?: number | undefined;
};

/** Calm begins so far under the limit: degrees, and percent of the enforced power limit or of the limit in watts. */
const calmDegrees = 3;
const calmPercent = 5;

const strains = { broken: 2, between: 1, calm: 0 } as const;

/** By degrees, by margin and by the card's own reasons; the worst of them. */
export function judgeHeat(reading: Reading, limits: Limits): Judgement {
  const { temperature, marginToSlowdown: margin } = reading;
  const { maxTemperature: most, minTemperatureMargin: least } = limits;
  const found: Judgement[] = [byReasons(reading, limits.thermalReasons, milli(temperature ?? 0))];
  if (temperature !== undefined && most !== undefined) {
    found.push({
      strain: strainOf(temperature - most, calmDegrees),
      figure: milli(temperature),
      limit: milli(most),
    });
  }
  if (margin !== undefined && least !== undefined) {
    // As degrees where they are known, so that figure and limit read the same for every card.
    const degrees = temperature ?? 0;
    found.push({
      strain: strainOf(least - margin, calmDegrees),
      figure: milli(temperature === undefined ? margin : degrees),
      limit: milli(temperature === undefined ? least : degrees + margin - least),
    });
  }
  return worst(found);
}

export function judgePower(reading: Reading, limits: Limits): Judgement {
  const { powerMilliwatts: power, powerLimitMilliwatts: enforced } = reading;
  const { maxPowerPercent: most, maxPowerMilliwatts: absolute } = limits;
  const found: Judgement[] = [byReasons(reading, limits.powerReasons, Math.round(power ?? 0))];
  if (power !== undefined && enforced !== undefined && most !== undefined) {
    const percent = (power / enforced) * 100;
    const limit = Math.round((enforced * most) / 100);
    found.push({ strain: strainOf(percent - most, calmPercent), figure: Math.round(power), limit });
  }
  if (power !== undefined && absolute !== undefined) {
    const percentOver = (power / absolute - 1) * 100;
    found.push({ strain: strainOf(percentOver, calmPercent), figure: Math.round(power), limit: absolute });
  }
  return worst(found);
}

function byReasons({ clockReasons }: Reading, counted: readonly string[], figure: number): Judgement {
  const slowed = clockReasons?.some((reason) => counted.includes(reason)) ?? false;
  return { strain: slowed ? "broken" : "calm", figure, limit: 0 };
}

function strainOf(over: number, calmUnder: number): Strain {
  if (over > 0) return "broken";
  return over <= -calmUnder ? "calm" : "between";
}

/** The last of equals: a stated limit says more than a reason. */
function worst(found: readonly Judgement[]): Judgement {
  return found.reduce((a, b) => (strains[b.strain] >= strains[a.strain] ? b : a));
}

/** The layout's figures have no sign. */
function milli(degrees: number): number {
  return Math.max(0, Math.round(degrees * 1000));
}
