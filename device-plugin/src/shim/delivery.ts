/**
 * The shim on the host: a folder per version that is never written again once it has its name, since running programs have its files
 * mapped. The name has a hash of the contents, so that another build of the same version is another folder.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type DeliveredShim, inside } from "../plugin/edits.ts";
import { DiskError, type Files } from "../store/files.ts";

const library = "libloretoken.so";
const preloadName = "ld.so.preload";
const beginning = ".new-";
const ending = ".old-";

export class ShimDelivery {
  readonly #folder: string;
  readonly #source: string;
  readonly #version: string;
  readonly #files: Files;

  /** @param version of the agent's release; @param source the image's folder with the shim. */
  constructor(options: { hostFolder: string; source: string; version: string; files: Files }) {
    this.#folder = join(options.hostFolder, "shim");
    this.#source = options.source;
    this.#version = options.version;
    this.#files = options.files;
  }

  /**
   * Copies the image's shim to the host unless it is there. A folder of its name with other contents (a damaged disk) is left alone
   * and another name is taken.
   * @throws {DiskError}; {Error} if the image has no shim.
   */
  async deliver(): Promise<DeliveredShim> {
    const parts = this.#parts();
    try {
      await this.#files.mkdir(this.#folder);
      await this.#clearHalfDone();
      for (let copy = 1; ; ++copy) {
        const version = `${this.#version}-${hashOf(parts)}${copy === 1 ? "" : `-${copy}`}`;
        const folder = join(this.#folder, version);
        const whole = withPreload(parts, version);
        const there = (await this.#files.list(folder)).length > 0;
        if (!there) await this.#copy(version, whole);
        if (!there || isWhole(folder, whole)) return { version, folder, preload: join(folder, preloadName) };
      }
    } catch (error) {
      throw new DiskError("delivering the shim", join(this.#folder, "x"), error);
    }
  }

  /** Removes versions that are not among these. @returns what was removed. @throws {DiskError} */
  async removeUnused(used: ReadonlySet<string>): Promise<string[]> {
    const removed: string[] = [];
    try {
      for (const version of await this.#files.list(this.#folder)) {
        if (used.has(version) || version.startsWith(beginning) || version.startsWith(ending)) continue;
        const away = join(this.#folder, `${ending}${version}`);
        await this.#files.rename(join(this.#folder, version), away);
        await this.#files.remove(away);
        removed.push(version);
      }
    } catch (error) {
      throw new DiskError("removing old versions of the shim", join(this.#folder, "x"), error);
    }
    return removed;
  }

  #parts(): Map<string, Uint8Array> {
    const names = readdirSync(this.#source).filter((name) => statSync(join(this.#source, name)).isFile());
    if (!names.includes(library)) {
      throw new Error(
        `the image has no shim: ${join(this.#source, library)} is missing; --shim-folder says where it is`,
      );
    }
    return new Map(names.sort().map((name) => [name, readFileSync(join(this.#source, name))]));
  }

  async #clearHalfDone(): Promise<void> {
    for (const name of await this.#files.list(this.#folder)) {
      if (name.startsWith(beginning) || name.startsWith(ending)) await this.#files.remove(join(this.#folder, name));
    }
  }

  async #copy(version: string, parts: ReadonlyMap<string, Uint8Array>): Promise<void> {
    const folder = join(this.#folder, `${beginning}${version}`);
    await this.#files.mkdir(folder);
    for (const [name, content] of parts) {
      await this.#files.write(join(folder, name), content, { mode: name === library ? 0o755 : 0o644, lasting: true });
    }
    await this.#files.rename(folder, join(this.#folder, version));
  }
}

/** The file that ld.so reads names the shim where containers have it. */
function withPreload(parts: ReadonlyMap<string, Uint8Array>, version: string): Map<string, Uint8Array> {
  const line = `${join(inside.shim, version, library)}\n`;
  return new Map([...parts, [preloadName, new TextEncoder().encode(line)]]);
}

function hashOf(parts: ReadonlyMap<string, Uint8Array>): string {
  const hash = createHash("sha256");
  for (const [name, content] of parts) hash.update(`${name}\0${content.length}\0`).update(content);
  return hash.digest("hex").slice(0, 12);
}

function isWhole(folder: string, parts: ReadonlyMap<string, Uint8Array>): boolean {
  return [...parts].every(([name, content]) => {
    try {
      return readFileSync(join(folder, name)).equals(content);
    } catch {
      return false;
    }
  });
}
