/** Keeps the book of health on disk: written when there is something new in it, never twice at once, and nobody waits for it. */
import { type Log, messageOf } from "../log.ts";
import type { MedicalRecords } from "../store/medical-records.ts";
import type { HealthBook } from "./book.ts";

export class HealthKeeper {
  readonly #book: HealthBook;
  readonly #records: MedicalRecords;
  readonly #log: Log;
  #kept = 0;
  #writing: Promise<void> | undefined;

  constructor(book: HealthBook, records: MedicalRecords, log: Log) {
    this.#book = book;
    this.#records = records;
    this.#log = log;
  }

  /** Takes up what an agent before kept. A file that cannot be understood is told and written anew. */
  async restore(now: number): Promise<void> {
    try {
      this.#book.restore(await this.#records.load(), now);
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, "GPUs' health of before is not known");
    }
    this.#kept = this.#book.revision;
  }

  /** What fails is told and tried again at the next call. */
  keep(): void {
    if (this.#writing !== undefined || this.#book.revision === this.#kept) return;
    const revision = this.#book.revision;
    this.#writing = this.#records
      .save(this.#book.records())
      .then(
        () => {
          this.#kept = revision;
        },
        (error: unknown) => this.#log.error({ error: messageOf(error) }, "GPUs' health not kept"),
      )
      .finally(() => {
        this.#writing = undefined;
      });
  }

  /** Nothing is being written, and all is kept if the disk lets it. */
  async close(): Promise<void> {
    await this.#writing;
    this.keep();
    await this.#writing;
  }
}
