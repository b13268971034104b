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

export class CounterSum {
  #ended: Counters;
  #rows: Map<string, Counters>;

  constructor(state: CounterState = { ended: zero(), rows: {} }) {
    this.#ended = add(zero(), state.ended);
    this.#rows = new Map(Object.entries(state.rows).map(([key, counters]) => [key, add(zero(), counters)]));
  }

  /**
   * @param rows all of the file, also those of finished processes: their counters stay
   * @returns whether rows came or went, so that the state is worth keeping at once
   */
  update(rows: readonly Row[]): boolean {
    const now = new Map<string, Counters>();
    for (const row of rows) {
      const key = `${row.pid}/${row.start_time}/${row.device}`;
      const before = now.get(key) ?? this.#rows.get(key);
      now.set(key, before === undefined ? take(row) : highest(before, take(row)));
    }
    const gone = [...this.#rows].filter(([key]) => !now.has(key));
    for (const [, counters] of gone) this.#ended = add(this.#ended, counters);
    const changed = gone.length > 0 || now.size !== this.#rows.size;
    this.#rows = now;
    return changed;
  }

  get totals(): Counters {
    return [...this.#rows.values()].reduce(add, this.#ended);
  }

  get state(): CounterState {
    return { ended: this.#ended, rows: Object.fromEntries(this.#rows) };
  }
}

function combine(a: Partial<Counters>, b: Partial<Counters>, merge: (x: number, y: number) => number): Counters {
  const number = (value: unknown): number => (typeof value === "number" ? plausible(value) : 0);
  const entries: [string, number | number[]][] = scalars.map((name) => [name, merge(number(a[name]), number(b[name]))]);
  for (const name of tableNames) {
    const sums = Array.from({ length: tables[name] }, (_, index) =>
      merge(number(a[name]?.[index]), number(b[name]?.[index])),
    );
    entries.push([name, sums]);
  }
  return Object.fromEntries(entries) as Counters;
}

const zero = (): Counters => combine({}, {}, () => 0);
const add = (a: Counters, b: Counters): Counters => combine(a, b, (x, y) => x + y);
const highest = (a: Counters, b: Counters): Counters => combine(a, b, Math.max);
const take = (row: Row): Counters => combine(row, {}, (x) => x);
