/** What is held of one GPU, added up once and again when it has changed. */
import type { Holding } from "../holding.ts";
import { parseUnitId } from "./ids.ts";
import { committed } from "./shares.ts";

/** Units that are not free, and the physical bytes promised with them: a holding, or a container of which only that is known. */
export type Claim = Pick<Holding, "id" | "units" | "guaranteed">;

export interface HeldSum {
  /** Unit numbers. */
  readonly taken: ReadonlySet<number>;
  /** Physical bytes that can be claimed at one time. */
  readonly guaranteed: bigint;
}

export class GpuHoldings {
  readonly #holdings = new Map<string, Holding>();
  #unrecorded: readonly Claim[] = [];
  #sum: HeldSum | undefined;

  get claims(): readonly Claim[] {
    return [...this.#holdings.values(), ...this.#unrecorded];
  }

  /** Another object for another sum. */
  get sum(): HeldSum {
    this.#sum ??= {
      taken: new Set(this.claims.flatMap(({ units }) => units.map((id) => parseUnitId(id)?.unit ?? -1))),
      guaranteed: committed(this.claims),
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

  /** Those that there are now, in the place of those of before. */
  set unrecorded(claims: readonly Claim[]) {
    if (claims.length + this.#unrecorded.length === 0) return;
    this.#unrecorded = claims;
    this.#sum = undefined;
  }
}
