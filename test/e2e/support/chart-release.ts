/** A release of the chart on a test's cluster, with images that have simulated GPUs in the place of NVIDIA's driver. */
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { CoreV1Api, KubernetesObjectApi, type V1Pod } from "@kubernetes/client-node";
import { type Entry, libraries, type Target, writeImage } from "@loretoken/test-cluster";
import { contentsOf } from "../../../images/contents.ts";
import { chart, helm } from "../../chart/helm.ts";
import { build } from "./images.ts";

export const registry = "loretoken.local";
export const release = "loretoken";
export const namespace = "loretoken";

/**
 * The agent's image as users get it, without kernels for GPUs, on a machine that has these cards: their driver lies where NVIDIA's
 * runtime would put it.
 * @param gpus memory of each card
 * @param tag each has a shim of its own, as each version has
 */
export async function agentImage(tag: string, gpus: readonly string[]): Promise<string> {
  const { layers, config } = await contentsOf("agent", { withoutKernels: true });
  const nvml = path.join(build, "lib/sim/libnvidia-ml.so.1");
  const machine: Entry[] = [
    ...libraries([nvml]),
    { kind: "file", to: "/usr/lib64/libnvidia-ml.so.1", from: nvml },
    { kind: "text", to: `/opt/loretoken/shim/${tag}.txt`, text: `${tag}\n` },
  ];
  mkdirSync("build/e2e-images", { recursive: true });
  return writeImage(
    {
      name: `${registry}/loretoken/agent:${tag}`,
      layers: [...layers, machine],
      config: { ...config, env: { ...config.env, LORETOKEN_SIM_DEVICES: gpus.join(",") } },
    },
    path.resolve(`build/e2e-images/chart-agent-${tag}.tar`),
  );
}

/** The operator's image as users get it. @throws {Error} where there is no operator */
export async function operatorImage(tag: string): Promise<string> {
  const { layers, config } = await contentsOf("operator");
  mkdirSync("build/e2e-images", { recursive: true });
  return writeImage(
    { name: `${registry}/loretoken/operator:${tag}`, layers, config },
    path.resolve(`build/e2e-images/chart-operator-${tag}.tar`),
  );
}

/** Requests of one of the release's accounts that its role did not allow, by the API server's audit log. */
export function forbidden(target: Target, account: string): string[] {
  const lines = readFileSync(target.cluster.control.auditLog, "utf8").trim().split("\n");
  const asked = lines
    .map((line) => JSON.parse(line))
    .filter(
      ({ user, stage }) =>
        user.username === `system:serviceaccount:${namespace}:${account}` && stage === "ResponseComplete",
    );
  if (asked.length === 0) throw new Error(`${account} asked nothing`);
  return asked
    .filter(({ responseStatus }) => responseStatus?.code === 403)
    .map(({ verb, requestURI }) => `${verb} ${requestURI}`);
}

/** An object as the API server lists it. */
export interface Listed {
  readonly kind: string;
  readonly name: string;
}

export class ChartRelease {
  readonly #target: Target;

  constructor(target: Target) {
    this.#target = target;
  }

  install(...more: string[]): Promise<string> {
    return this.#helm("install", release, chart, "--create-namespace", "--wait", "--timeout=180s", ...more);
  }

  upgrade(...more: string[]): Promise<string> {
    return this.#helm("upgrade", release, chart, "--wait", "--timeout=180s", ...more);
  }

  rollback(revision: number): Promise<string> {
    return this.#helm("rollback", release, String(revision), "--wait", "--timeout=180s");
  }

  uninstall(): Promise<string> {
    return this.#helm("uninstall", release, "--wait", "--timeout=120s");
  }

  /** The agent's pod, which is the node's only one. */
  async agent(): Promise<V1Pod> {
    const found = await this.#list(
      "v1",
      "Pod",
      `app.kubernetes.io/instance=${release},app.kubernetes.io/component=agent`,
    );
    const [pod, ...others] = found.filter((one) => one.metadata?.deletionTimestamp === undefined) as V1Pod[];
    if (pod === undefined || others.length > 0) throw new Error(`${others.length + 1} agents, or none`);
    return pod;
  }

  /** What the agent has logged; no failure if there is none. */
  async agentLog(): Promise<string> {
    try {
      const { metadata } = await this.agent();
      const api = this.#target.config.makeApiClient(CoreV1Api);
      return (await api.readNamespacedPodLog({ name: metadata?.name ?? "", namespace })) ?? "";
    } catch (error) {
      return `no log of the agent: ${error}`;
    }
  }

  /** Every object of the release, of every kind that the API server can list. */
  async objects(): Promise<Listed[]> {
    const selector = `app.kubernetes.io/instance=${release}`;
    const all = await Promise.all(
      kinds.map(async ([apiVersion, kind]) =>
        (await this.#list(apiVersion, kind, selector)).map((one) => ({ kind, name: one.metadata?.name ?? "" })),
      ),
    );
    return all.flat();
  }

  async #list(apiVersion: string, kind: string, labelSelector: string) {
    const api = KubernetesObjectApi.makeApiClient(this.#target.config);
    const { items } = await api.list(
      apiVersion,
      kind,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      labelSelector,
    );
    return items;
  }

  async #helm(...words: string[]): Promise<string> {
    const KUBECONFIG = await this.#target.cluster.kubeconfigFile();
    return helm([...words, `--namespace=${namespace}`], { ...process.env, KUBECONFIG });
  }
}

/** Kinds of which a release, or what it makes, may have objects. */
const kinds: readonly (readonly [apiVersion: string, kind: string])[] = [
  ["v1", "Pod"],
  ["v1", "Secret"],
  ["v1", "ConfigMap"],
  ["v1", "Service"],
  ["v1", "ServiceAccount"],
  ["apps/v1", "DaemonSet"],
  ["apps/v1", "ControllerRevision"],
  ["apps/v1", "Deployment"],
  ["apps/v1", "ReplicaSet"],
  ["policy/v1", "PodDisruptionBudget"],
  ["networking.k8s.io/v1", "NetworkPolicy"],
  ["rbac.authorization.k8s.io/v1", "Role"],
  ["rbac.authorization.k8s.io/v1", "RoleBinding"],
  ["rbac.authorization.k8s.io/v1", "ClusterRole"],
  ["rbac.authorization.k8s.io/v1", "ClusterRoleBinding"],
  ["admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"],
  ["apiextensions.k8s.io/v1", "CustomResourceDefinition"],
];
