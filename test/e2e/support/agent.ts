/** The node agent as a user's cluster runs it, a DaemonSet without privileges, on simulated GPUs that tests may make ill. */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { AppsV1Api, CoreV1Api, type V1Container, type V1DaemonSet, type V1Pod } from "@kubernetes/client-node";
import { conditionOf, foreign, type Target, until, useTarget } from "@loretoken/test-cluster";
import { createAccount } from "./agent-account.ts";
import { agentImage, agent as agentTar } from "./agent-image.ts";

export const resource = "loretoken.dev/vram";
/** By their paths on the node. */
export const hostFolder = "/var/lib/loretoken";
const faultFolder = "/var/lib/e2e-faults";
const port = 9410;

export interface AgentOptions {
  /** Memory of each simulated card. */
  readonly gpus: readonly string[];
  /** Flags by name; these make slow things fast unless said otherwise. */
  readonly flags?: Readonly<Record<string, string>>;
  /** Between two questions whether it is ready; 1 where tests wait for it. */
  readonly probeSeconds?: number;
}

/** One allocation as the agent keeps it on the node. */
export interface Kept {
  readonly id: string;
  readonly gpuUuid: string;
  readonly units: string[];
  readonly guaranteed: string;
  readonly owner?: {
    readonly namespace: string;
    readonly pod: string;
    readonly podUid: string;
    readonly container: string;
  };
}

export class Agent {
  readonly #target: Target;
  readonly #options: AgentOptions;
  #flags: Readonly<Record<string, string>>;

  constructor(target: Target, options: AgentOptions) {
    this.#target = target;
    this.#options = options;
    this.#flags = options.flags ?? {};
  }

  get gpus(): readonly string[] {
    return this.#options.gpus;
  }

  /** Deploys it and waits until it is ready, which it is when it has registered. */
  async deploy(): Promise<void> {
    await this.faults();
    const { namespace, config } = this.#target;
    await createAccount(config, namespace);
    await config.makeApiClient(AppsV1Api).createNamespacedDaemonSet({ namespace, body: this.#daemonSet() });
    await this.ready();
  }

  /** The agent's pod, once it is ready; another one than `not`. */
  async ready(not?: string, timeoutMs = 60_000): Promise<V1Pod> {
    const api = this.#target.config.makeApiClient(CoreV1Api);
    const { namespace } = this.#target;
    return until(
      "the agent is ready",
      async () => {
        const { items } = await api.listNamespacedPod({ namespace, labelSelector: "app=agent" });
        return items.find((pod) => pod.metadata?.uid !== not && conditionOf(pod, "Ready") === "True");
      },
      { timeoutMs },
    );
  }

  /** What the simulated NVML reports from now on: lines of test/sim/inject/inject.h, as `xid=79:1`. None: all is well. */
  async faults(...lines: string[]): Promise<void> {
    const folder = path.join(this.#target.cluster.folder, "lib", path.basename(faultFolder));
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, "new"), lines.map((line) => `${line}\n`).join(""));
    renameSync(path.join(folder, "new"), path.join(folder, "control"));
  }

  /** kill -9, at whatever it is doing. @returns when it is ready again */
  async kill(): Promise<void> {
    const { name, uid, restarts } = await this.#identity();
    await this.#signal("SIGKILL");
    await until("the agent was started again", async () => (await this.#identity()).restarts > restarts, {
      everyMs: 100,
    });
    const again = await this.#identity();
    if (again.uid !== uid) throw new Error(`${name} was replaced, not restarted`);
    await this.ready();
  }

  /** @returns a kill -9 that asks no API server; it resolves when the kubelet has started the agent again */
  async killer(): Promise<() => Promise<void>> {
    const { container } = await this.#identity();
    const pid = await this.pid();
    const { cluster } = this.#target;
    const running = async (): Promise<string[]> => {
      const lines = (await cluster.exec(cluster.node?.ctr("tasks", "list") ?? [])).split("\n");
      return lines.filter((line) => line.includes("RUNNING")).map((line) => line.split(/\s+/)[0] ?? "");
    };
    const before = await running();
    return async () => {
      await cluster.exec(["sh", "-c", `kill -9 ${pid}`]);
      await until("the agent was started again", async () => {
        const now = await running();
        return !now.includes(container) && now.some((id) => !before.includes(id));
      });
    };
  }

  /** Deletes its pod; the DaemonSet makes another. */
  async replace(): Promise<void> {
    const { name, uid } = await this.#identity();
    await this.#target.pods.remove(name, 10);
    await this.ready(uid);
  }

  /** Starts it anew with other flags beside those that it has. */
  async configure(flags: Readonly<Record<string, string>>): Promise<void> {
    const { uid } = await this.#identity();
    this.#flags = { ...this.#flags, ...flags };
    const { namespace, config } = this.#target;
    const body = this.#daemonSet();
    await config.makeApiClient(AppsV1Api).replaceNamespacedDaemonSet({ name: "agent", namespace, body });
    await this.ready(uid);
  }

  /** Its process as the node numbers it. */
  async pid(): Promise<number> {
    const { container } = await this.#identity();
    const { node } = this.#target.cluster;
    const lines = (await this.#target.cluster.exec(node?.ctr("tasks", "list") ?? [])).split("\n");
    const [, pid] = lines.map((line) => line.split(/\s+/)).find(([id]) => id === container) ?? [];
    if (pid === undefined) throw new Error("the agent's process is not there");
    return Number(pid);
  }

  /** A page of the agent, by the node's network. */
  async page(name: string): Promise<{ status: number; body: string }> {
    const pod = await this.ready();
    const through = await this.#target.cluster.portal(pod.status?.podIP ?? "", port);
    const answer = await fetch(`http://127.0.0.1:${through}${name}`);
    return { status: answer.status, body: await answer.text() };
  }

  async logs(): Promise<string> {
    return this.#target.pods.logs((await this.#identity()).name);
  }

  /** The allocations on the node's disk. */
  async kept(): Promise<Kept[]> {
    const script = `cat ${hostFolder}/allocations/*/allocation.json 2>/dev/null | tr -d '\\n' | sed 's/}{/}\\n{/g' || true`;
    const text = await this.#target.cluster.exec(["sh", "-c", script]);
    return text
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map((line) => JSON.parse(line) as Kept);
  }

  /** Waits until the node offers so many units. */
  async offers(count: number, timeoutMs = 30_000): Promise<void> {
    const api = this.#target.config.makeApiClient(CoreV1Api);
    const name = this.#target.cluster.nodeName;
    await until(
      `the node offers ${count} units`,
      async () => {
        const found = (await api.readNode({ name })).status?.allocatable?.[resource];
        if (found !== String(count)) throw new Error(`it offers ${found ?? "none"}`);
        return true;
      },
      { timeoutMs },
    );
  }

  async #identity(): Promise<{ name: string; uid: string; container: string; restarts: number }> {
    const { namespace, config } = this.#target;
    const { items } = await config
      .makeApiClient(CoreV1Api)
      .listNamespacedPod({ namespace, labelSelector: "app=agent" });
    const [pod] = items;
    const status = pod?.status?.containerStatuses?.[0];
    return {
      name: pod?.metadata?.name ?? "",
      uid: pod?.metadata?.uid ?? "",
      container: status?.containerID?.replace("containerd://", "") ?? "",
      restarts: status?.restartCount ?? 0,
    };
  }

  async #signal(signal: string): Promise<void> {
    const { container } = await this.#identity();
    const { node } = this.#target.cluster;
    await this.#target.cluster.exec(node?.ctr("tasks", "kill", "--signal", signal, container) ?? []);
  }

  #daemonSet(): V1DaemonSet {
    const labels = { app: "agent" };
    return {
      metadata: { name: "agent" },
      spec: {
        selector: { matchLabels: labels },
        updateStrategy: { type: "RollingUpdate" },
        template: {
          metadata: { labels },
          spec: {
            serviceAccountName: "agent",
            priorityClassName: "system-node-critical",
            terminationGracePeriodSeconds: 10,
            containers: [this.#container()],
            volumes: [
              hostPath("host", hostFolder),
              hostPath("plugins", "/var/lib/kubelet/device-plugins"),
              hostPath("pod-resources", "/var/lib/kubelet/pod-resources"),
              hostPath("faults", faultFolder),
            ],
          },
        },
      },
    };
  }

  #container(): V1Container {
    const flags: Record<string, string> = {
      "nvml-library": "/opt/sim/libnvidia-ml.so.1",
      "gpu-access": "none",
      "guard-seconds": "0.5",
      "reconcile-seconds": "1",
      "recover-seconds": "3",
      "context-size": "0MiB",
      listen: `0.0.0.0:${port}`,
      ...this.#flags,
    };
    const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
    return {
      name: "agent",
      image: agentImage,
      imagePullPolicy: "Never",
      args: Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
      env: [
        { name: "LORETOKEN_SIM_DEVICES", value: this.#options.gpus.join(",") },
        { name: "LORETOKEN_SIM_CONTROL", value: "/faults/control" },
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
      readinessProbe: { httpGet: { path: "/readyz", port }, periodSeconds: this.#options.probeSeconds ?? 1 },
      livenessProbe: { httpGet: { path: "/healthz", port }, periodSeconds: 10, timeoutSeconds: 5 },
      volumeMounts: [
        { name: "host", mountPath: hostFolder },
        { name: "plugins", mountPath: "/var/lib/kubelet/device-plugins" },
        { name: "pod-resources", mountPath: "/var/lib/kubelet/pod-resources", readOnly: true },
        { name: "faults", mountPath: "/faults", readOnly: true },
      ],
    };
  }
}

function hostPath(name: string, at: string) {
  return { name, hostPath: { path: at, type: "DirectoryOrCreate" } };
}

/** A cluster for the tests of a file, with the agent on it, deployed and ready. Not on a cluster that is not theirs. */
export function useAgent(
  name: string,
  options: AgentOptions & {
    readonly images: readonly (() => Promise<string>)[];
    readonly kubelet?: Record<string, unknown>;
    readonly audit?: boolean;
  },
): { readonly target: () => Target; readonly agent: () => Agent } {
  let agent: Agent | undefined;
  const target = useTarget(
    name,
    async () => ({
      kind: "node",
      images: [await agentTar(), ...(await Promise.all(options.images.map((image) => image())))],
      ...(options.audit && { audit: true }),
      kubelet: { crashLoopBackOff: { maxContainerRestartPeriod: "1s" }, ...options.kubelet },
    }),
    async (opened) => {
      if (foreign) return;
      agent = new Agent(opened, options);
      await agent.deploy();
    },
  );
  return {
    target: () => target.current,
    agent: () => {
      if (agent === undefined) throw new Error("the agent is there only while tests run");
      return agent;
    },
  };
}
