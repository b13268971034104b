/**
 * Counters of one container, over all its processes, that never step back.
 *
 * A row counts for one process and is wiped when another process takes it over, so the sum over the rows steps back when
 * that happens. Here the last figures of a row are kept until its owner changes and then added to what ended rows have
 * counted: total = ended + the rows of now. What a process counts between the last look and its row's reuse is lost; a row is only
 * reused when all 128 are taken.
 *
 * The state goes to disk and back, so that totals do not step back over a restart of the reader either: scrapers take a
 * lower figure for a restart from zero and would count the rest twice.
 */
import { CODECS, GUARDS, type Row } from "./abi.ts";
import { plausible } from "./usage.ts";

const scalars = [
  "allocations",
  "frees",
  "launches",
  "slow_launches",
  "copies",
  "graph_launches",
  "packs",
  "packs_refused",
  "unpacks",
  "spills",
  "fetches",
  "drops",
  "remaps",
  "wait_ns",
  "stall_ns",
  "evict_waits",
  "verify_failures",
  "checksum_failures",
  "out_of_memory",
  "unpack_bytes",
  "spill_bytes",
  "fetch_bytes",
  "forced_packs",
] as const;
const tables = { codec_in: CODECS, codec_out: CODECS, guard_events: GUARDS } as const;
const tableNames = Object.keys(tables) as (keyof typeof tables)[];

export type Counters = Record<(typeof scalars)[number], number> & Record<keyof typeof tables, number[]>;

/** Plain data for JSON. */
export interface CounterState {
  ended: Counters;
  /** By pid and start time and device of the process. */
  rows: Record<string, Counters>;
}

/** Counters as one array: the scalars in order, then the tables. Millions of additions a day make no objects so. */
type Figures = Float64Array;
const tableAt = new Map<keyof typeof tables, number>();
let figureCount = scalars.length;
for (const name of tableNames) {
  tableAt.set(name, figureCount);
  figureCount += tables[name];
}

export class CounterSum {
  #ended: Figures;
  #rows: Map<string, Figures>;

  constructor(state?: CounterState) {
    this.#ended = figuresOf(state?.ended ?? {});
    this.#rows = new Map(Object.entries(state?.rows ?? {}).map(([key, counters]) => [key, figuresOf(counters)]));
  }

  /**
   * @param rows all of the file, also those of finished processes: their counters stay
   * @returns whether rows came or went, so that the state is worth keeping at once
   */
  update(rows: readonly Row[]): boolean {
    const now = new Map<string, Figures>();
    for (const row of rows) {
      const key = `${row.pid}/${row.start_time}/${row.device}`;
      const before = now.get(key) ?? this.#rows.get(key);
      now.set(key, before === undefined ? figuresOf(row) : merged(before, figuresOf(row), Math.max));
    }
    const gone = [...this.#rows].filter(([key]) => !now.has(key));
    for (const [, figures] of gone) this.#ended = merged(this.#ended, figures, sum);
    const changed = gone.length > 0 || now.size !== this.#rows.size;
    this.#rows = now;
    return changed;
  }

  get totals(): Counters {
    return countersOf([...this.#rows.values()].reduce((a, b) => merged(a, b, sum), this.#ended));
  }

  get state(): CounterState {
    const rows = [...this.#rows].map(([key, figures]) => [key, countersOf(figures)] as const);
    return { ended: countersOf(this.#ended), rows: Object.fromEntries(rows) };
  }
}

const sum = (a: number, b: number): number => a + b;

/** What is missing, or is no figure that can be, is 0. */
function figuresOf(counters: Partial<Counters>): Figures {
  const figures = new Float64Array(figureCount);
  const number = (value: unknown): number => (typeof value === "number" ? plausible(value) : 0);
  for (const [index, name] of scalars.entries()) figures[index] = number(counters[name]);
  for (const [name, at] of tableAt) {
    for (let index = 0; index < tables[name]; ++index) figures[at + index] = number(counters[name]?.[index]);
  }
  return figures;
}

function countersOf(figures: Figures): Counters {
  const counters: Record<string, number | number[]> = {};
  for (const [index, name] of scalars.entries()) counters[name] = figures[index] ?? 0;
  for (const [name, at] of tableAt) counters[name] = [...figures.subarray(at, at + tables[name])];
  return counters as Counters;
}

function merged(a: Figures, b: Figures, merge: (x: number, y: number) => number): Figures {
  return a.map((figure, index) => plausible(merge(figure, b[index] ?? 0)));
}
