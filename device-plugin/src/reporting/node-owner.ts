/** The Node as the owner of its GpuNode, so that the cluster removes the one with the other. */
import {
  ApiError,
  type Client,
  hasCode,
  type KubeObject,
  type OwnerReference,
  pathOf,
  type Resource,
} from "@loretoken/kube";
import type { Log } from "../log.ts";

const nodes: Resource = { apiVersion: "v1", kind: "Node", plural: "nodes", namespaced: false };

export interface NodeOwnerOptions {
  readonly client: Client;
  /** Name of the Node. */
  readonly node: string;
  readonly log: Log;
}

export class NodeOwner {
  readonly #options: NodeOwnerOptions;
  #known: OwnerReference | undefined;
  #told = "";

  constructor(options: NodeOwnerOptions) {
    this.#options = options;
  }

  /**
   * Asks the API server; throws nothing. What was known before holds where it does not answer: an owner that is no longer
   * stated would be given up. A refusal is told once.
   * @returns undefined if there is no such Node, or if nobody ever said
   */
  async reference(signal?: AbortSignal): Promise<OwnerReference | undefined> {
    const { client, node: name, log } = this.#options;
    try {
      const path = pathOf(nodes, { name });
      const node = await client.request<KubeObject>({
        method: "GET",
        path,
        ...(signal === undefined ? {} : { signal }),
      });
      const uid = node.metadata?.uid;
      this.#known = uid === undefined ? undefined : { apiVersion: nodes.apiVersion, kind: nodes.kind, name, uid };
    } catch (error) {
      if (hasCode(error, 404)) this.#known = undefined;
      else if (error instanceof ApiError && this.#told !== error.message) {
        this.#told = error.message;
        log.warn({ node: name, error: this.#told }, "Node's UID not known");
      }
    }
    return this.#known;
  }
}
