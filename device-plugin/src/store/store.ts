/**
 * Allocations on disk, a folder each: `<host folder>/allocations/<id>/{allocation.json,control,telemetry}`. A folder has its
 * name only when it is whole, and loses it in one step; whatever step the agent dies in, the next start finds either all
 * of an allocation or nothing. So it does after a power failure, which may take away the name that a folder was given: one made
 * ahead is an allocation from the moment its record is whole.
 */
import { join } from "node:path";
import type { Holding } from "../holding.ts";
import { DiskError, type Files, replace } from "./files.ts";
import { type Allocation, decodeRecord, encodeRecord, isWhole } from "./record.ts";
import { Spares } from "./spares.ts";

/** Makes the control file, whole, at this path. */
export type MakeControl = (path: string) => void;

/** What lay there and cannot be understood. */
export interface Damaged {
  readonly id: string;
  readonly why: string;
  /** Where it is now; undefined: it could not be moved. */
  readonly aside: string | undefined;
}

const beginning = ".new-";
const ending = ".old-";
const recordName = "allocation.json";
/** What a folder made ahead has for its record: room for one of 400 units. */
const blankRecord = " ".repeat(8192);
/** Reading fails so for what is no record, or no longer one; any other failure is the folder's, and says nothing about a record. */
const damagedCodes = ["ENOENT", "ENOTDIR", "EISDIR", "EIO"];

export class Store {
  readonly folder: string;
  /** Where damaged allocations are put, for people. */
  readonly #aside: string;
  readonly #spares: Spares;
  readonly #files: Files;
  /** A telemetry file as at the beginning. */
  readonly #zeros: Uint8Array;

  /** @param telemetryBytes the size of a telemetry file. */
  constructor(hostFolder: string, files: Files, telemetryBytes: number) {
    this.folder = join(hostFolder, "allocations");
    this.#aside = join(hostFolder, "damaged");
    this.#files = files;
    this.#zeros = new Uint8Array(telemetryBytes);
    this.#spares = new Spares(join(hostFolder, "spare"), files, async (folder) => {
      await this.#furnish(folder);
      await files.write(join(folder, recordName), blankRecord, { mode: 0o644, lasting: true });
    });
  }

  /** Where an allocation's files are on the host. */
  filesOf(id: string): Pick<Holding, "telemetry" | "control"> {
    return { telemetry: join(this.folder, id, "telemetry"), control: join(this.folder, id, "control") };
  }

  /**
   * All allocations. What an agent that died left half done is removed; what is damaged is put aside, so that it is told once. A
   * container that has files of it mounted keeps them.
   * @throws {DiskError}
   */
  async load(): Promise<{ kept: Allocation[]; damaged: Damaged[] }> {
    const kept: Allocation[] = [];
    const damaged: Damaged[] = [];
    try {
      await this.#files.mkdir(this.folder);
      for (const folder of await this.#spares.left()) await this.#nameAgain(folder);
      await this.#spares.clear();
      for (const name of await this.#files.list(this.folder)) {
        if (name.startsWith(beginning) || name.startsWith(ending)) await this.#files.remove(join(this.folder, name));
        else
          await this.#read(name).then(
            (found) => kept.push(found),
            async (error: Error) =>
              damaged.push({ id: name, why: whyDamaged(error), aside: await this.#putAside(name) }),
          );
      }
    } catch (error) {
      throw new DiskError("reading the allocations", join(this.folder, "x"), error);
    }
    return { kept, damaged };
  }

  /**
   * On disk with all its files when it returns. With a spare folder there is little to make: new files are what costs most.
   * @throws {DiskError} and then there is nothing of it.
   */
  async create(allocation: Allocation, makeControl: MakeControl): Promise<void> {
    const { id } = allocation.holding;
    const spare = this.#spares.take();
    const folder = spare ?? join(this.folder, `${beginning}${id}`);
    try {
      if (spare === undefined) await this.#furnish(folder);
      makeControl(join(folder, "control"));
      const [path, record] = [join(folder, recordName), encodeRecord(allocation)];
      if (spare === undefined) await this.#files.write(path, record, { mode: 0o644, lasting: true });
      else await this.#files.overwrite(path, record);
      await this.#files.rename(folder, join(this.folder, id));
    } catch (error) {
      await this.#files.remove(folder).catch(() => undefined);
      throw new DiskError("keeping an allocation", join(this.folder, id), error);
    }
  }

  /** Makes folders ahead for the next allocations, asking between them. Throws nothing: what fails, fails again in `create`. */
  prepare(giveWay: () => Promise<void>): Promise<void> {
    return this.#spares.prepare(giveWay);
  }

  /** Leaves nothing that no allocation needs. */
  close(): Promise<void> {
    return this.#spares.close();
  }

  /** Keeps what changed. @throws {DiskError} and then the old is kept. */
  async update(allocation: Allocation): Promise<void> {
    const path = join(this.folder, allocation.holding.id, recordName);
    await replace(this.#files, path, encodeRecord(allocation)).catch((error: unknown) => {
      throw new DiskError("keeping an allocation", path, error);
    });
  }

  /**
   * A telemetry file as at the beginning, for a container that starts anew. It is another file under the same name: a process
   * of the container before may have the old one mapped.
   * @throws {DiskError}
   */
  async renewTelemetry(id: string): Promise<void> {
    const { telemetry } = this.filesOf(id);
    try {
      await this.#files.write(`${telemetry}.new`, this.#zeros, { mode: 0o666 });
      await this.#files.rename(`${telemetry}.new`, telemetry);
    } catch (error) {
      throw new DiskError("renewing telemetry", telemetry, error);
    }
  }

  /** @throws {DiskError} if it is still there then. */
  async remove(id: string): Promise<void> {
    const [folder, away] = [join(this.folder, id), join(this.folder, `${ending}${id}`)];
    try {
      await this.#files.rename(folder, away);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw new DiskError("removing an allocation", folder, error);
    }
    // Without its name it is gone; what is left of it the next start removes.
    await this.#files.remove(away).catch(() => undefined);
  }

  /** What is the same in every allocation's folder. */
  async #furnish(folder: string): Promise<void> {
    await this.#files.mkdir(folder);
    // Filled with zeros, not left with a hole: a full disk must fail here, not at a store of the program.
    await this.#files.write(join(folder, "telemetry"), this.#zeros, { mode: 0o666 });
  }

  /** Gives a folder that was made ahead its allocation's name, if it has a whole record. @throws what the disk does. */
  async #nameAgain(folder: string): Promise<void> {
    const text = await this.#files.read(join(folder, recordName)).catch((error: NodeJS.ErrnoException) => {
      whyDamaged(error);
      return "";
    });
    const id = isWhole(text) ? idOf(text) : undefined;
    if (id === undefined || (await this.#files.list(this.folder)).includes(id)) return;
    await this.#files.rename(folder, join(this.folder, id));
  }

  async #putAside(name: string): Promise<string | undefined> {
    try {
      await this.#files.mkdir(this.#aside);
      const there = new Set(await this.#files.list(this.#aside));
      let free = name;
      for (let number = 2; there.has(free); ++number) free = `${name}.${number}`;
      await this.#files.rename(join(this.folder, name), join(this.#aside, free));
      return join(this.#aside, free);
    } catch {
      return undefined;
    }
  }

  async #read(name: string): Promise<Allocation> {
    const allocation = decodeRecord(await this.#files.read(join(this.folder, name, recordName)), this.filesOf(name));
    if (allocation.holding.id !== name) throw new Error(`it names itself ${allocation.holding.id}`);
    return allocation;
  }
}

/** Undefined: a record of another version. */
function idOf(text: string): string | undefined {
  try {
    return decodeRecord(text, { telemetry: "", control: "" }).holding.id;
  } catch {
    return undefined;
  }
}

/** @throws {Error} the error itself, if it says nothing about what lies there. */
function whyDamaged(error: NodeJS.ErrnoException): string {
  if (error.code !== undefined && !damagedCodes.includes(error.code)) throw error;
  return error.message;
}
