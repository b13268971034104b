/** What is held of one GPU, added up once and again when it has changed. */
import type { Holding } from "../holding.ts";
import { parseUnitId } from "./ids.ts";
import { committed } from "./shares.ts";

export interface HeldSum {
  /** Unit numbers. */
  readonly taken: ReadonlySet<number>;
  /** Physical bytes that can be claimed at one time. */
  readonly guaranteed: bigint;
}

export class GpuHoldings {
  readonly #holdings = new Map<string, Holding>();
  #sum: HeldSum | undefined;

  get all(): readonly Holding[] {
    return [...this.#holdings.values()];
  }

  /** Another object for another sum. */
  get sum(): HeldSum {
    this.#sum ??= {
      taken: new Set(this.all.flatMap(({ units }) => units.map((id) => parseUnitId(id)?.unit ?? -1))),
      guaranteed: committed(this.all),
    };
    return this.#sum;
  }

  put(holding: Holding): void {
    const before = this.#holdings.get(holding.id);
    // That an owner was learnt changes no sum.
    if (before?.units !== holding.units || before.guaranteed !== holding.guaranteed) this.#sum = undefined;
    this.#holdings.set(holding.id, holding);
  }

  remove(id: string): void {
    if (this.#holdings.delete(id)) this.#sum = undefined;
  }
}
