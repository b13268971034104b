/**
 * Which GPU is which number in device IDs. The kubelet remembers IDs over restarts of everything, NVML's indexes do not stay when a
 * card goes missing: so a card keeps its number, by UUID.
 */
import { join } from "node:path";
import { z } from "zod";
import { DiskError, type Files, replace } from "./files.ts";

const slotsSchema = z.record(
  z.string(),
  z.object({ slot: z.int().min(0).max(9999), name: z.string(), physical: z.string().regex(/^\d{1,20}$/) }),
);

export interface Card {
  readonly uuid: string;
  readonly name: string;
  readonly physical: bigint;
}

export interface Seated extends Card {
  readonly slot: number;
}

/** Cards by number: known ones keep theirs, new ones get the number they wish if it is free, else the lowest. */
export function seat(known: readonly Seated[], found: readonly (Card & { readonly wish: number })[]): Seated[] {
  const seats = new Map(known.map((card) => [card.uuid, card]));
  const taken = new Set(known.map(({ slot }) => slot));
  for (const { wish, ...card } of found) {
    const before = seats.get(card.uuid);
    let slot = before?.slot ?? wish;
    for (let next = 0; before === undefined && taken.has(slot); ++next) slot = next;
    taken.add(slot);
    seats.set(card.uuid, { ...card, slot });
  }
  return [...seats.values()].sort((a, b) => a.slot - b.slot);
}

export class Slots {
  readonly #path: string;
  readonly #files: Files;

  constructor(hostFolder: string, files: Files) {
    this.#path = join(hostFolder, "gpus.json");
    this.#files = files;
  }

  /** None if there is no file yet. @throws {Error} if it cannot be understood, naming it. */
  async load(): Promise<Seated[]> {
    if ((await this.#files.size(this.#path)) === undefined) return [];
    try {
      const cards = slotsSchema.parse(JSON.parse(await this.#files.read(this.#path)));
      return Object.entries(cards).map(([uuid, { slot, name, physical }]) => ({
        uuid,
        slot,
        name,
        physical: BigInt(physical),
      }));
    } catch (error) {
      const why = error instanceof z.ZodError ? z.prettifyError(error) : error;
      throw new Error(`${this.#path} is damaged: ${why}; if no container holds GPU memory here, remove it`, {
        cause: error,
      });
    }
  }

  /** @throws {DiskError} */
  async save(cards: readonly Seated[]): Promise<void> {
    const entries = cards.map(({ uuid, slot, name, physical }) => [uuid, { slot, name, physical: String(physical) }]);
    const text = `${JSON.stringify(Object.fromEntries(entries), undefined, 2)}\n`;
    await replace(this.#files, this.#path, text).catch((error: unknown) => {
      throw new DiskError("keeping the GPUs' numbers", this.#path, error);
    });
  }
}
