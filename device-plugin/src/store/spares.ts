/** Folders made ahead, so that Allocate does not wait for the file system to make them. */
import { join } from "node:path";
import type { Files } from "./files.ts";

/** A pod of so many containers that start at once finds a folder for each. */
const wanted = 4;

export class Spares {
  readonly #folder: string;
  readonly #files: Files;
  readonly #furnish: (folder: string) => Promise<void>;
  readonly #ready: string[] = [];
  #next = 0;
  #making: Promise<void> | undefined;
  #closed = false;

  /** @param furnish makes a folder with what belongs in it. */
  constructor(folder: string, files: Files, furnish: (folder: string) => Promise<void>) {
    this.#folder = folder;
    this.#files = files;
    this.#furnish = furnish;
  }

  /** A folder that is the caller's from now on; undefined: there is none now. */
  take(): string | undefined {
    return this.#ready.shift();
  }

  /** Folders that an agent before left. @throws what the disk does. */
  async left(): Promise<string[]> {
    return (await this.#files.list(this.#folder)).map((name) => join(this.#folder, name));
  }

  /** Removes what an agent before left. @throws what the disk does. */
  async clear(): Promise<void> {
    await this.#files.remove(this.#folder);
  }

  /** Makes up the number. Throws nothing. */
  prepare(giveWay: () => Promise<void>): Promise<void> {
    this.#making ??= this.#make(giveWay).finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#making;
    this.#ready.length = 0;
    await this.clear().catch(() => undefined);
  }

  async #make(giveWay: () => Promise<void>): Promise<void> {
    while (!this.#closed && this.#ready.length < wanted) {
      await giveWay();
      const folder = join(this.#folder, String(this.#next));
      this.#next += 1;
      try {
        await this.#furnish(folder);
      } catch {
        await this.#files.remove(folder).catch(() => undefined);
        return;
      }
      this.#ready.push(folder);
    }
  }
}
