/** GPUs' health over restarts of the agent: `<host folder>/health.json`. */
import { join } from "node:path";
import { z } from "zod";
import type { MedicalRecord } from "../health/book.ts";
import { DiskError, type Files, replace } from "./files.ts";

const schema = z.record(
  z.string(),
  z.object({
    ill: z.boolean(),
    cause: z.string(),
    xid: z.int().min(0),
    lastFault: z.number(),
    pause: z.number().min(0),
    wellSince: z.number().optional(),
    uncorrected: z.number().optional(),
  }),
);

export class MedicalRecords {
  readonly path: string;
  readonly #files: Files;

  constructor(hostFolder: string, files: Files) {
    this.path = join(hostFolder, "health.json");
    this.#files = files;
  }

  /** None if there is no file yet. @throws {Error} if it cannot be understood, naming it. */
  async load(): Promise<Record<string, MedicalRecord>> {
    if ((await this.#files.size(this.path)) === undefined) return {};
    try {
      return schema.parse(JSON.parse(await this.#files.read(this.path)));
    } catch (error) {
      const why = error instanceof z.ZodError ? z.prettifyError(error) : error;
      throw new Error(`${this.path} is damaged: ${why}`, { cause: error });
    }
  }

  /** @throws {DiskError} and then the old is kept. */
  async save(records: Readonly<Record<string, MedicalRecord>>): Promise<void> {
    const text = `${JSON.stringify(records, undefined, 2)}\n`;
    await replace(this.#files, this.path, text).catch((error: unknown) => {
      throw new DiskError("keeping the GPUs' health", this.path, error);
    });
  }
}
