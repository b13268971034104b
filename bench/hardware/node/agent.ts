/** The node agent as a user's cluster runs it: a DaemonSet, not privileged, without capabilities, its root read-only. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import {
  AppsV1Api,
  CoreV1Api,
  type KubeConfig,
  NodeV1Api,
  type V1Container,
  type V1DaemonSet,
} from "@kubernetes/client-node";
import { conditionOf, NODE_NAME, until } from "@loretoken/test-cluster";
import { createAccount } from "../../../test/e2e/support/agent-account.ts";
import { apiServer, namespace } from "./cluster.ts";
import { agentImage } from "./images.ts";
import { driverVariables, type Settings } from "./settings.ts";

export const resource = "loretoken.dev/vram";
const hostFolder = "/var/lib/loretoken";
const port = 9410;

/** An allocation as the agent keeps it on the node. */
export interface Kept {
  readonly id: string;
  readonly units: readonly string[];
  readonly guaranteed: string;
  readonly virtualSize: string;
  readonly owner?: { readonly pod: string; readonly container: string };
  /** Path of its telemetry file. */
  readonly telemetry: string;
}

export class Agent {
  readonly #config: KubeConfig;
  readonly #settings: Settings;

  constructor(config: KubeConfig, settings: Settings) {
    this.#config = config;
    this.#settings = settings;
  }

  /** Deploys it and waits until it is ready, which it is when it has registered. */
  async deploy(flags: Readonly<Record<string, string>>): Promise<void> {
    const body = { metadata: { name: "gpu" }, handler: "gpu" };
    await this.#config.makeApiClient(NodeV1Api).createRuntimeClass({ body });
    await createAccount(this.#config, namespace, path.join(this.#settings.tree, "crds"));
    await this.#config.makeApiClient(AppsV1Api).createNamespacedDaemonSet({ namespace, body: this.#daemonSet(flags) });
    await this.#ready();
  }

  /** Gives it other flags, as a user does who edits the DaemonSet: its pod is replaced. */
  async reconfigure(flags: Readonly<Record<string, string>>): Promise<void> {
    const api = this.#config.makeApiClient(AppsV1Api);
    const before = await this.#ready();
    const current = await api.readNamespacedDaemonSet({ name: "agent", namespace });
    const { metadata } = current;
    const body = {
      ...this.#daemonSet(flags),
      metadata: { name: "agent", resourceVersion: metadata?.resourceVersion ?? "" },
    };
    await api.replaceNamespacedDaemonSet({ name: "agent", namespace, body });
    await this.#ready(before);
  }

  /** Units that the node offers, once there are any. */
  async offered(): Promise<number> {
    const api = this.#config.makeApiClient(CoreV1Api);
    return until(`the node offers ${resource}`, async () => {
      const units = Number((await api.readNode({ name: NODE_NAME })).status?.allocatable?.[resource] ?? 0);
      return units > 0 && units;
    });
  }

  async page(name: string): Promise<string> {
    const answer = await fetch(`http://${apiServer.host}:${port}${name}`);
    if (!answer.ok) throw new Error(`${name} of the agent: ${answer.status} ${await answer.text()}`);
    return answer.text();
  }

  kept(): Kept[] {
    const folder = path.join(hostFolder, "allocations");
    return names(folder).flatMap((id) => {
      try {
        const record = JSON.parse(readFileSync(path.join(folder, id, "allocation.json"), "utf8"));
        return [{ ...record, telemetry: path.join(folder, id, "telemetry") } as Kept];
      } catch {
        return []; // just gone
      }
    });
  }

  async logs(): Promise<string> {
    const api = this.#config.makeApiClient(CoreV1Api);
    const { items } = await api.listNamespacedPod({ namespace, labelSelector: "app=agent" });
    const texts = items.map(({ metadata }) => api.readNamespacedPodLog({ name: metadata?.name ?? "", namespace }));
    return (await Promise.all(texts)).join("\n");
  }

  /** Peak and present resident memory of its process and its CPU time, as /proc tells. */
  usage(): { residentKiB: number; peakKiB: number; cpuSeconds: number } | undefined {
    for (const pid of names("/proc").filter((name) => /^\d+$/.test(name))) {
      const command = text(`/proc/${pid}/cmdline`);
      if (!command.includes("dist/loretoken-agent.js") || command.startsWith("sh\0")) continue;
      const status = text(`/proc/${pid}/status`);
      const fields = text(`/proc/${pid}/stat`).split(") ")[1]?.split(" ") ?? [];
      const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
      const ticks = Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
      return { residentKiB: kib("VmRSS"), peakKiB: kib("VmHWM"), cpuSeconds: ticks / 100 };
    }
    return undefined;
  }

  /** @returns its pod's UID; another one than `not` */
  async #ready(not?: string): Promise<string> {
    const api = this.#config.makeApiClient(CoreV1Api);
    const found = await until(
      "the agent is ready",
      async () => {
        const { items } = await api.listNamespacedPod({ namespace, labelSelector: "app=agent" });
        return items.find((pod) => pod.metadata?.uid !== not && conditionOf(pod, "Ready") === "True");
      },
      { timeoutMs: 60_000 },
    ).catch(async (error: Error) => {
      throw new Error(`${error.message}\n${await this.#describe()}`);
    });
    return found.metadata?.uid ?? "";
  }

  async #describe(): Promise<string> {
    const api = this.#config.makeApiClient(CoreV1Api);
    const { items } = await api.listNamespacedPod({ namespace, labelSelector: "app=agent" });
    const events = (await api.listNamespacedEvent({ namespace })).items.map(
      ({ reason, message }) => `${reason}: ${message}`,
    );
    const states = items.map(({ status }) => JSON.stringify(status?.containerStatuses?.[0]?.state));
    const logs = await this.logs().catch((error: Error) => error.message);
    return [...states, ...events, logs.slice(-3000)].join("\n");
  }

  #daemonSet(flags: Readonly<Record<string, string>>): V1DaemonSet {
    const labels = { app: "agent" };
    const hostPath = (name: string, at: string) => ({ name, hostPath: { path: at, type: "DirectoryOrCreate" } });
    return {
      metadata: { name: "agent" },
      spec: {
        selector: { matchLabels: labels },
        updateStrategy: { type: "RollingUpdate" },
        template: {
          metadata: { labels },
          spec: {
            hostNetwork: true,
            runtimeClassName: "gpu",
            serviceAccountName: "agent",
            priorityClassName: "system-node-critical",
            terminationGracePeriodSeconds: 10,
            containers: [this.#container(flags)],
            volumes: [
              hostPath("host", hostFolder),
              hostPath("plugins", "/var/lib/kubelet/device-plugins"),
              hostPath("pod-resources", "/var/lib/kubelet/pod-resources"),
            ],
          },
        },
      },
    };
  }

  #container(flags: Readonly<Record<string, string>>): V1Container {
    const { driver } = this.#settings;
    const all: Record<string, string> = {
      "nvml-library": path.join(driver, "libnvidia-ml.so.1"),
      "gpu-access": "device-nodes",
      "driver-folder": driver,
      "reconcile-seconds": "2",
      listen: `0.0.0.0:${port}`,
      ...flags,
    };
    const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
    const given = { KUBERNETES_SERVICE_HOST: apiServer.host, KUBERNETES_SERVICE_PORT: apiServer.port };
    return {
      name: "agent",
      image: agentImage,
      imagePullPolicy: "Never",
      args: Object.entries(all).map(([name, value]) => `--${name}=${value}`),
      env: [
        // There is no proxy for services here.
        ...Object.entries({ ...given, ...driverVariables(this.#settings) }).map(([name, value]) => ({ name, value })),
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        field("NODE_NAME", "spec.nodeName"),
      ],
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
        seccompProfile: { type: "RuntimeDefault" },
      },
      readinessProbe: { httpGet: { path: "/readyz", port }, periodSeconds: 1 },
      livenessProbe: { httpGet: { path: "/healthz", port }, periodSeconds: 10, timeoutSeconds: 5 },
      volumeMounts: [
        { name: "host", mountPath: hostFolder },
        { name: "plugins", mountPath: "/var/lib/kubelet/device-plugins" },
        { name: "pod-resources", mountPath: "/var/lib/kubelet/pod-resources", readOnly: true },
      ],
    };
  }
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function text(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
