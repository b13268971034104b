/**
 * The cluster that a test file runs against: one of its own, started for it, or that of `KUBECONFIG`, where tests that
 * kill components are skipped and say so.
 */
import { exec } from "node:child_process";
import { randomBytes } from "node:crypto";
import { after, afterEach, before } from "node:test";
import { promisify } from "node:util";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { Cluster } from "../cluster/cluster.ts";
import type { ClusterOptions } from "../cluster/options.ts";
import { until } from "../cluster/until.ts";
import { Pods } from "./pods.ts";

const run = promisify(exec);

/** Whether tests run on a cluster that is not theirs. */
export const foreign = process.env.KUBECONFIG !== undefined && process.env.KUBECONFIG !== "";

/** For `skip` of tests that need a cluster of their own: the reason, or false where there is one. */
export const needsOwnCluster: string | false = foreign
  ? "needs a cluster of its own: components are stopped, which the one of KUBECONFIG must not suffer"
  : false;

export class Target {
  readonly #options: Omit<ClusterOptions, "name">;
  readonly #name: string;
  #cluster: Cluster | undefined;
  #config: KubeConfig | undefined;
  #pods: Pods | undefined;

  constructor(name: string, options: Omit<ClusterOptions, "name">) {
    this.#name = name;
    this.#options = options;
  }

  /** The test's own cluster. @throws {Error} on a foreign one: such tests are skipped by {@link needsOwnCluster} */
  get cluster(): Cluster {
    if (this.#cluster === undefined) throw new Error("there is no cluster of this test's own");
    return this.#cluster;
  }

  get config(): KubeConfig {
    if (this.#config === undefined) throw new Error("the cluster has not been opened");
    return this.#config;
  }

  /** Pods of a namespace that is this file's, gone with it. */
  get pods(): Pods {
    if (this.#pods === undefined) throw new Error("the cluster has not been opened");
    return this.#pods;
  }

  get namespace(): string {
    return this.pods.namespace;
  }

  async open(): Promise<void> {
    if (foreign) {
      this.#config = new KubeConfig();
      this.#config.loadFromDefault();
      console.error(`e2e on the cluster of KUBECONFIG: ${this.#config.getCurrentContext()}`);
      for (const image of this.#options.images ?? []) await this.loadImage(image);
    } else {
      this.#cluster = await Cluster.start({ ...this.#options, name: this.#name });
      this.#config = await this.#cluster.kubeConfig();
    }
    const namespace = `e2e-${randomBytes(4).toString("hex")}`;
    await this.config.makeApiClient(CoreV1Api).createNamespace({ body: { metadata: { name: namespace } } });
    this.#pods = new Pods(this.config, namespace);
    if (foreign || this.#options.kind === "node") await this.#serviceAccount(namespace);
  }

  /** Pods are refused until the controllers have made the namespace's default service account. */
  async #serviceAccount(namespace: string): Promise<void> {
    const api = this.config.makeApiClient(CoreV1Api);
    await until("the default service account is there", async () => {
      await api.readNamespacedServiceAccount({ name: "default", namespace });
      return true;
    });
  }

  /**
   * Makes an OCI tar known to the nodes. On a foreign cluster that is done by the command in `E2E_LOAD_IMAGE`, which the
   * path is appended to (`kind load image-archive`); without one, the nodes must know the image already.
   */
  async loadImage(tar: string): Promise<void> {
    if (this.#cluster !== undefined) return this.#cluster.loadImage(tar);
    const command = process.env.E2E_LOAD_IMAGE;
    if (command === undefined) {
      console.error(`e2e: no E2E_LOAD_IMAGE, so the nodes must know the image of ${tar} already`);
      return;
    }
    await run(`${command} '${tar}'`);
  }

  /** @param failed prints the end of each log */
  async close(failed: boolean): Promise<void> {
    if (this.#cluster !== undefined) {
      if (failed) console.error(this.#cluster.report());
      await this.#cluster.stop();
    } else if (this.#pods !== undefined) {
      await this.config.makeApiClient(CoreV1Api).deleteNamespace({ name: this.namespace });
    }
  }
}

/**
 * Opens a target before the tests of this file and closes it behind them.
 * @param name of the folder of logs: the test file's
 * @param prepare what all tests of the file need on the cluster; hooks of their own would run at the same time
 */
export function useTarget(
  name: string,
  options: () => Promise<Omit<ClusterOptions, "name">>,
  prepare: (target: Target) => Promise<void> = async () => {},
): { readonly current: Target } {
  let target: Target | undefined;
  let failed = false;
  before(async () => {
    target = new Target(name, await options());
    try {
      await target.open();
      await prepare(target);
    } catch (error) {
      failed = true;
      throw error;
    }
  });
  afterEach((context) => {
    if ("passed" in context && !context.passed) failed = true;
  });
  after(async () => {
    await target?.close(failed);
  });
  return {
    get current() {
      if (target === undefined) throw new Error("the target is there only while tests run");
      return target;
    },
  };
}
