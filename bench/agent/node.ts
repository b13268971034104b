/**
 * A full node for measuring: 8 simulated GPUs of 400 units, a kubelet over real sockets, an API server, and the agent as its
 * image has it, a process of its own.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import "@loretoken/nvml/testing"; // before anything loads NVML
import { TestCluster } from "../../device-plugin/src/testing/cluster.ts";
import { pod, TestNode, until } from "../../device-plugin/src/testing/node.ts";
import { type AgentProgram, Bundle } from "../../device-plugin/src/testing/program.ts";

process.env.LORETOKEN_SIM_DEVICES = Array.from({ length: 8 }, () => "270GiB").join();

export const gpus = 8;
export const unitsPerGpu = 400;
const policies = 20;
const namespaces = 50;
/** Bytes of an object that nobody here asks for: what controllers and the kubelet write of a pod. */
const padding = 8192;
const ownPod = { namespace: "kube-system", name: "agent", containers: [{ name: "agent", units: 0 }] };

export class BenchNode {
  readonly node = new TestNode();
  readonly server = new TestCluster();
  readonly #bundle = new Bundle();
  #agent: AgentProgram | undefined;

  get kubelet() {
    return this.node.kubelet;
  }

  get agent(): AgentProgram {
    if (this.#agent === undefined) throw new Error("it has not started");
    return this.#agent;
  }

  /** @param words of node, as --cpu-prof. */
  async start(words: readonly string[] = []): Promise<void> {
    await this.server.start();
    populate(this.server);
    const config = join(this.node.root, "kubeconfig");
    writeFileSync(config, this.server.config.exportConfig());
    await this.kubelet.start();
    await this.kubelet.manager.admit(ownPod, { preferred: async () => [], allocate: () => Promise.reject() });
    const { namespace, name } = ownPod;
    const env = { KUBECONFIG: config, POD_NAMESPACE: namespace, POD_NAME: name, NODE_NAME: "bench" };
    this.#agent = this.#bundle.start(this.#flags(), env, words);
    const all = gpus * unitsPerGpu;
    await until("the kubelet has all units", () => this.kubelet.lists.at(-1)?.devices.length === all);
  }

  /** A pod of one container on this GPU. @returns its Allocate's milliseconds, as the kubelet meets them. */
  async run(name: string, gpu: number, units: number): Promise<number> {
    const spec = pod(name, units);
    const { manager } = this.kubelet;
    const taken = new Set(manager.list().flatMap(({ ids }) => ids));
    const free = [...manager.devices.keys()].filter((id) => id.startsWith(`${gpu}-`) && !taken.has(id));
    let milliseconds = 0;
    await manager.admit(spec, {
      preferred: async () => free,
      allocate: async (ids) => {
        const start = performance.now();
        const edits = await this.kubelet.allocate(ids);
        milliseconds = performance.now() - start;
        return edits;
      },
    });
    placePod(this.server, name);
    await this.kubelet.startContainer(spec, "c0");
    return milliseconds;
  }

  remove(name: string): void {
    this.kubelet.manager.remove(pod(name));
    this.server.delete("pods", name, "default");
  }

  /** Its address of pages. */
  get pages(): string {
    const port = /"port":(\d+).*"msg":"started"/.exec(this.agent.output)?.[1];
    return `http://127.0.0.1:${port}`;
  }

  async stop(): Promise<void> {
    await this.#agent?.end();
    this.#bundle.remove();
    await this.node.end();
    await this.server.stop();
  }

  /** Intervals as users have them; later flags win. */
  #flags(): string[] {
    const intervals = ["--guard-seconds=2", "--reconcile-seconds=10", "--recover-seconds=60"];
    return this.node.flags(["--reserve=5GiB", ...intervals]);
  }
}

/** A cluster of some size, with policies that ask for labels of all kinds. */
function populate(cluster: TestCluster): void {
  const labels = Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`example.com/label-${at}`, `value-${at}`]));
  cluster.put("nodes", "bench", { metadata: { labels }, status: { images: "x".repeat(padding) } });
  for (let at = 0; at < namespaces; ++at) {
    cluster.put("namespaces", at === 0 ? "default" : `team-${at}`, {
      metadata: { labels: { tier: `tier-${at % 5}` } },
    });
  }
  for (let at = 0; at < policies; ++at) {
    const spec = {
      podSelector: { matchLabels: { app: `app-${at % 10}` } },
      namespaceSelector: { matchExpressions: [{ key: "tier", operator: "In", values: ["tier-0", `tier-${at % 5}`] }] },
      priority: at,
      codecs: { allow: ["constant", "zero_run"] },
    };
    cluster.put("compressionpolicies", `policy-${at}`, { spec });
  }
}

function placePod(cluster: TestCluster, name: string): void {
  const labels = { app: `app-${name.length % 10}`, name };
  const metadata = { namespace: "default", uid: `uid-${name}`, labels, managedFields: "x".repeat(padding) };
  cluster.put("pods", name, { metadata, spec: { nodeName: "bench" } });
}
