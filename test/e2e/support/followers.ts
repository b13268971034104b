/** ConfigMaps that change, those who follow them with a reflector, and a controller that copies them. */
import assert from "node:assert/strict";
import type { KubeConfig } from "@kubernetes/client-node";
import {
  apply,
  Client,
  Controller,
  hasCode,
  type KubeObject,
  list,
  pathOf,
  Reflector,
  type ReflectorOptions,
  type Resource,
  retry,
  type WatchEnd,
} from "@loretoken/kube";
import { Mirror } from "@loretoken/kube/testing";
import { until } from "@loretoken/test-cluster";

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

export const configMaps: Resource = { apiVersion: "v1", kind: "ConfigMap", plural: "configmaps", namespaced: true };
const namespaces: Resource = { apiVersion: "v1", kind: "Namespace", plural: "namespaces", namespaced: false };
const selection = { resource: configMaps, namespace: "library", labelSelector: "followed=yes" };
const copiesOf = (follower: string): string => `copies-${follower}`;

/** What a copy says of a value. */
const summaryOf = ({ data }: ConfigMap): string => `${data?.value?.length} ${data?.value?.slice(0, 20)}`;

export class Follower {
  readonly name: string;
  readonly reflector: Reflector<ConfigMap, ConfigMap, "value">;
  readonly mirror = new Mirror<ConfigMap>();
  readonly ends: WatchEnd[] = [];
  readonly failures: string[] = [];
  lists = 0;
  readonly #client: Client;
  readonly #controller: Controller;
  readonly #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  constructor(name: string, config: KubeConfig, options: Partial<ReflectorOptions<ConfigMap, ConfigMap, "value">>) {
    this.name = name;
    this.#client = new Client({ config, userAgent: `loretoken-test-${name}`, timeout: 2000 });
    this.reflector = new Reflector<ConfigMap, ConfigMap, "value">({
      client: this.#client,
      ...selection,
      indexes: { value: (object) => [summaryOf(object)] },
      inactivity: 3000,
      backoff: { first: 100, most: 1000 },
      observer: {
        listed: () => void ++this.lists,
        watchEnded: (end) => this.ends.push(end),
        failed: (what, error) => this.failures.push(`${what}: ${(error as Error).message}`),
      },
      ...options,
    });
    const ignore = (): void => {};
    this.#controller = new Controller({
      name,
      reconcile: (key) => this.#copy(key),
      workers: 4,
      log: { debug: ignore, warn: ignore, error: ignore },
    });
    this.reflector.subscribe(this.mirror);
    const { queue } = this.#controller;
    this.reflector.subscribe({
      onAdd: (_, key) => queue.add(key),
      onUpdate: (_before, _now, key) => queue.add(key),
      onDelete: (_, key) => queue.add(key),
    });
  }

  start(): void {
    const { signal } = this.#stop;
    this.#running = Promise.all([this.reflector.run(signal), this.#controller.run(signal)]);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#client.close();
  }

  async #copy(key: string): Promise<undefined> {
    const name = key.split("/")[1] ?? "";
    const namespace = copiesOf(this.name);
    const original = this.reflector.store.get(key);
    if (original !== undefined) {
      const object = { metadata: { name, namespace }, data: { summary: summaryOf(original) } };
      await apply(this.#client, { resource: configMaps, object, fieldOwner: "copies" });
      return;
    }
    try {
      await this.#client.request({ method: "DELETE", path: pathOf(configMaps, { namespace, name }) });
    } catch (error) {
      if (!hasCode(error, 404)) throw error;
    }
  }
}

/** The side that changes things, patiently. */
export class World {
  readonly #client: Client;
  #count = 0;

  constructor(client: Client) {
    this.#client = client;
  }

  async prepare(): Promise<void> {
    const names = ["library", ...["direct", "short", "gated"].map(copiesOf)];
    for (const name of names) await this.#apply({ metadata: { name } }, namespaces);
    for (let each = 0; each < 8; ++each) await this.create(`first-${each}`, "0");
  }

  create(name: string, value: string, followed = "yes"): Promise<void> {
    return this.#apply({ metadata: { name, namespace: "library", labels: { followed } }, data: { value } });
  }

  update(name: string, value: string): Promise<void> {
    return this.create(name, value);
  }

  relabel(name: string, followed: string): Promise<void> {
    return this.create(name, "relabelled", followed);
  }

  async delete(name: string): Promise<void> {
    const path = pathOf(configMaps, { namespace: "library", name });
    await this.#retry(async () => {
      try {
        await this.#client.request({ method: "DELETE", path });
      } catch (error) {
        if (!hasCode(error, 404)) throw error;
      }
    });
  }

  /** Something of everything. */
  async change(): Promise<void> {
    const round = ++this.#count;
    await this.create(`of-${round}`, String(round));
    await this.create(`brief-${round}`, "1");
    await this.update(`first-${round % 8}`, String(round));
    await this.delete(`of-${round - 2}`);
    await this.delete(`brief-${round}`);
    await this.create(`brief-${round}`, "2");
    await this.relabel(`first-${(round + 3) % 8}`, round % 2 === 0 ? "yes" : "no");
    await this.delete(`brief-${round - 1}`);
  }

  /** Waits until a follower has what the server has, and its copies are right. @throws if what it told made no sense */
  async agrees({ name, reflector, mirror }: Follower): Promise<void> {
    const options = { everyMs: 100, timeoutMs: 40_000 };
    await until(
      `${name} has what the server has`,
      async () => {
        const { items } = await list<ConfigMap, ConfigMap>(this.#client, selection, (object) => object);
        const expected = items.map((item): [string, ConfigMap] => [`library/${item.metadata?.name}`, item]);
        mirror.check(expected);
        assert.equal(reflector.store.size, expected.length);
        for (const [key, item] of expected) {
          assert.deepEqual(reflector.store.get(key)?.data, item.data);
          assert.ok(reflector.store.keysBy("value", summaryOf(item)).includes(key));
        }
        const copies = { resource: configMaps, namespace: copiesOf(name) };
        const copied = await list<ConfigMap, string>(this.#client, copies, copyOf);
        const wanted = items.map((item) => `${item.metadata?.name} ${summaryOf(item)}`);
        assert.deepEqual(copied.items.filter((copy) => !copy.startsWith("kube-root-ca")).sort(), wanted.sort());
        return true;
      },
      options,
    );
    assert.deepEqual(mirror.faults, []);
  }

  async #apply(object: ConfigMap, resource = configMaps): Promise<void> {
    await this.#retry(() => apply(this.#client, { resource, object, fieldOwner: "world" }));
  }

  #retry<T>(operation: () => Promise<T>): Promise<T> {
    return retry(operation, { attempts: 60, first: 100, most: 1000 });
  }
}

function copyOf({ metadata, data }: ConfigMap): string {
  return `${metadata?.name} ${data?.summary}`;
}
