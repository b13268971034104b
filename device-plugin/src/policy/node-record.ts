/**
 * The policy that the node went by, on disk: `<host folder>/node-policy.json`. With it an agent that starts offers at once what the one
 * before offered; the kubelet would refuse pods that were placed by the larger number.
 */
import { join } from "node:path";
import { type CompressionPolicy, compressionPolicy } from "@loretoken/api";
import { z } from "zod";
import { DiskError, type Files, replace } from "../store/files.ts";

export class NodeRecord {
  readonly path: string;
  readonly #files: Files;

  constructor(hostFolder: string, files: Files) {
    this.path = join(hostFolder, "node-policy.json");
    this.#files = files;
  }

  /** Undefined: none applied. @throws {Error} if it cannot be understood, naming it. */
  async load(): Promise<CompressionPolicy | undefined> {
    if ((await this.#files.size(this.path)) === undefined) return undefined;
    try {
      return compressionPolicy.parse(JSON.parse(await this.#files.read(this.path)));
    } catch (error) {
      const why = error instanceof z.ZodError ? z.prettifyError(error) : error;
      throw new Error(`${this.path} is damaged: ${why}`, { cause: error });
    }
  }

  /** @throws {DiskError} and then the old is kept. */
  async save(policy: CompressionPolicy | undefined): Promise<void> {
    try {
      if (policy === undefined) await this.#files.remove(this.path);
      else await replace(this.#files, this.path, `${JSON.stringify(policy, undefined, 2)}\n`);
    } catch (error) {
      throw new DiskError("keeping the node's policy", this.path, error);
    }
  }
}
