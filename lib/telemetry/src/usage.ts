/** What one container uses now: the gauges of its live rows added up. */
import { guards, modes, type Row } from "./abi.ts";

export type Mode = (typeof modes)[number];
export type Guard = (typeof guards)[number];

/** Gauges that add up over the processes of a container; bytes but for `edges_live`. */
const summed = [
  "live_bytes",
  "raw_bytes",
  "packed_bytes",
  "packed_logical",
  "host_bytes",
  "host_logical",
  "idle_bytes",
  "held_bytes",
  "foreign_bytes",
  "edges_live",
] as const;

export type Usage = Record<(typeof summed)[number], number> & {
  processes: number;
  /** Allocations that must stay raw, by reason: as in `pins`. */
  pins: number[];
  /** The strictest of its processes, with the guardrail that set it ("none": the settings) and the cause in words. */
  mode: Mode;
  modeGuard: Guard;
  modeCause: string;
  /** The highest of its processes. */
  penaltyPermille: number;
  backoff: number;
  /** Of the control blocks that its processes obey, each once; 0: of no policy. */
  policyNumbers: number[];
};

export function usageOf(rows: readonly Row[]): Usage {
  const strictest = rows.reduce<Row | undefined>((a, b) => (a === undefined || b.mode > a.mode ? b : a), undefined);
  const total = (field: (typeof summed)[number]): number => rows.reduce((sum, row) => sum + plausible(row[field]), 0);
  return {
    ...(Object.fromEntries(summed.map((field) => [field, total(field)])) as Record<(typeof summed)[number], number>),
    processes: new Set(rows.map((row) => `${row.pid}/${row.start_time}`)).size,
    pins: Array.from(rows[0]?.pins ?? [], (_, reason) =>
      rows.reduce((sum, row) => sum + plausible(row.pins[reason]), 0),
    ),
    mode: modes[strictest?.mode ?? 0] ?? "off",
    modeGuard: guards[strictest?.mode_guard ?? 0] ?? "none",
    modeCause: strictest?.mode_cause ?? "",
    penaltyPermille: Math.max(0, ...rows.map((row) => plausible(row.penalty_permille))),
    backoff: Math.max(0, ...rows.map((row) => plausible(row.backoff))),
    policyNumbers: [...new Set(rows.map((row) => plausible(row.policy_generation)))],
  };
}

/**
 * A figure as it can be: two threads that add and take may leave a gauge below zero for a moment, which an unsigned field shows
 * as almost 2^64, and a hostile program may write anything.
 */
export function plausible(figure: number | undefined): number {
  return figure !== undefined && figure <= Number.MAX_SAFE_INTEGER ? figure : 0;
}
