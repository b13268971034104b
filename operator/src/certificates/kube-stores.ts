/** The two stores in a cluster: a Secret, and the caBundle of a MutatingWebhookConfiguration. */
import { fieldOwners } from "@loretoken/api";
import { apply, type Client, hasCode, type KubeObject, pathOf, type Resource } from "@loretoken/kube";
import {
  mutatingWebhookConfigurations as configurations,
  type MutatingWebhookConfiguration,
} from "../admission/webhook-configuration.ts";
import { ConflictError, type SecretStore, type TrustStore, type Versioned } from "./stores.ts";

interface Secret extends KubeObject {
  type?: string;
  data?: Record<string, string>;
}

const secrets: Resource = { apiVersion: "v1", kind: "Secret", plural: "secrets", namespaced: true };

export class KubeSecretStore implements SecretStore {
  readonly #client: Client;
  readonly #at: { readonly namespace: string; readonly name: string };

  constructor(client: Client, at: { readonly namespace: string; readonly name: string }) {
    this.#client = client;
    this.#at = at;
  }

  async read(): Promise<Versioned<Record<string, string>> | undefined> {
    const secret = await found(this.#client.request<Secret>({ method: "GET", path: pathOf(secrets, this.#at) }));
    if (secret === undefined) return undefined;
    return { value: secret.data ?? {}, version: secret.metadata?.resourceVersion ?? "" };
  }

  /** Data of other names that someone put there stay. */
  async write(data: Readonly<Record<string, string>>, version: string | undefined): Promise<void> {
    const { namespace, name } = this.#at;
    if (version === undefined) {
      const body: Secret = { apiVersion: "v1", kind: "Secret", metadata: { name }, type: "Opaque", data };
      const path = pathOf(secrets, { namespace });
      await refused(this.#client.request({ method: "POST", path, body }));
    } else {
      const body = { metadata: { resourceVersion: version }, data };
      const contentType = "application/merge-patch+json";
      const path = pathOf(secrets, this.#at);
      await refused(this.#client.request({ method: "PATCH", path, contentType, body }));
    }
  }
}

export class KubeTrustStore implements TrustStore {
  readonly #client: Client;
  readonly #name: string;
  /** Names of the webhooks within the configuration. */
  #webhooks: readonly string[] = [];

  constructor(client: Client, name: string) {
    this.#client = client;
    this.#name = name;
  }

  /** What all its webhooks have; "" if they differ. One without webhooks is none. */
  async read(): Promise<Versioned<string> | undefined> {
    const path = pathOf(configurations, { name: this.#name });
    const object = await found(this.#client.request<MutatingWebhookConfiguration>({ method: "GET", path }));
    if (object === undefined) return undefined;
    const webhooks = object.webhooks ?? [];
    if (webhooks.length === 0) return undefined;
    this.#webhooks = webhooks.map(({ name }) => name);
    const bundles = new Set(webhooks.map(({ clientConfig }) => clientConfig.caBundle ?? ""));
    const [value = ""] = bundles;
    return { value: bundles.size === 1 ? value : "", version: object.metadata?.resourceVersion ?? "" };
  }

  async write(caBundle: string, version: string): Promise<void> {
    const object: MutatingWebhookConfiguration = {
      metadata: { name: this.#name, resourceVersion: version },
      webhooks: this.#webhooks.map((name) => ({ name, clientConfig: { caBundle } })),
    };
    const fieldOwner = fieldOwners.certificates;
    await refused(apply(this.#client, { resource: configurations, object, fieldOwner }));
  }
}

async function found<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (hasCode(error, 404)) return undefined;
    throw error;
  }
}

async function refused(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    if (hasCode(error, 409)) throw new ConflictError(error.message, { cause: error });
    throw error;
  }
}
