/** etcd, API server, controllers, scheduler, containerd and a kubelet on this machine, whose pods use its own network. */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import {
  Component,
  ControlPlane,
  conditionOf,
  machine,
  NODE_ADDRESS,
  NODE_NAME,
  Node,
  Pods,
  pauseImage,
  until,
} from "@loretoken/test-cluster";
import type { ClusterOptions } from "../../../test/cluster/src/cluster/options.ts";

const names = [
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "kube-proxy",
  "containerd",
  "containerd-shim-runc-v2",
  "ctr",
  "runc",
  "kubectl",
  "helm",
] as const; // the last two are not used
const ports = { api: 6443, etcd: 2379, etcdPeer: 2380 };
/** Where pods and this program reach the API server. */
export const apiServer = { host: NODE_ADDRESS, port: String(ports.api) };
export const namespace = "shown";

export class Cluster {
  readonly #components: Component[] = [];
  readonly #logs: string;
  readonly #bin: string;
  readonly #node: Node;
  readonly #control: ControlPlane;
  readonly #root: string;

  /**
   * @param root scratch folder
   * @param bin folder of the programs
   * @param runtimes as `ClusterOptions` has them
   */
  constructor(root: string, bin: string, logs: string, runtimes: Readonly<Record<string, string>>) {
    const options: ClusterOptions = {
      kind: "node",
      name: "gpu",
      network: "host",
      runtimes,
      kubelet: { crashLoopBackOff: { maxContainerRestartPeriod: "1s" } },
    };
    const programs = Object.fromEntries(names.map((name) => [name, path.join(bin, name)])) as Record<
      (typeof names)[number],
      string
    >;
    this.#root = root;
    this.#bin = bin;
    this.#logs = logs;
    mkdirSync(logs, { recursive: true });
    this.#control = new ControlPlane(root, ports, programs, options);
    this.#node = new Node(root, programs, this.#control, options);
  }

  /** @param images OCI tars that pods use @throws {Error} that says which part did not get ready, with the end of its log */
  async start(images: readonly string[]): Promise<void> {
    const { config } = this;
    await this.#run("containerd", this.#node.containerd());
    await this.#run("etcd", this.#control.etcd());
    await this.#run("kube-apiserver", this.#control.apiServer(NODE_ADDRESS));
    const containerd = await this.#ctr("version");
    for (const image of [await pauseImage(this.#root), ...images]) await this.#ctr("images", "import", image);
    if (!containerd) throw new Error("containerd does not answer");
    await this.#until("the API server is ready", () => this.#apiReady());
    await this.#run("kube-controller-manager", this.#node.controllerManager());
    await this.#run("kube-scheduler", this.#node.scheduler());
    await this.#run("kubelet", this.#node.kubelet());
    const api = config().makeApiClient(CoreV1Api);
    await this.#until("the node is Ready", async () => {
      const { status } = await api.readNode({ name: NODE_NAME });
      return status?.conditions?.some(({ type, status: state }) => type === "Ready" && state === "True");
    });
    await api.createNamespace({ body: { metadata: { name: namespace } } });
    await this.#until("the default service account is there", async () => {
      await api.readNamespacedServiceAccount({ name: "default", namespace });
      return true;
    });
  }

  readonly config = (): KubeConfig => {
    const config = new KubeConfig();
    config.loadFromString(JSON.stringify(this.#control.kubeconfig("admin")));
    return config;
  };

  get pods(): Pods {
    return new Pods(this.config(), namespace);
  }

  /** The end of every log. */
  report(lines = 15): string {
    return this.#components.map((component) => `== ${component.name}\n${component.tail(lines)}`).join("\n");
  }

  async #run(name: string, argv: readonly string[]): Promise<void> {
    const env = { PATH: `${this.#bin}:${process.env.PATH ?? ""}:/usr/sbin:/sbin` };
    const component = new Component(
      name,
      path.join(this.#logs, `${name}.log`),
      () => machine,
      () => ({ argv, env }),
    );
    this.#components.push(component);
    await component.start();
  }

  async #ctr(...args: string[]): Promise<string> {
    const { execFile } = await import("node:child_process");
    const { promisify } = await import("node:util");
    const [file = "", ...rest] = this.#node.ctr(...args);
    return this.#until(`ctr ${args.join(" ")}`, async () => (await promisify(execFile)(file, rest)).stdout, 60_000);
  }

  async #apiReady(): Promise<boolean> {
    const { items } = await this.config().makeApiClient(CoreV1Api).listNamespace();
    return items.length > 0;
  }

  #until<T>(what: string, probe: () => Promise<T>, timeoutMs = 90_000): Promise<Exclude<T, false | undefined>> {
    return until(what, probe, { timeoutMs, check: () => this.#check() });
  }

  #check(): void {
    for (const component of this.#components) component.check();
  }
}

/**
 * The specification from which containers of a runtime "gpu" start: containerd's own, with the cards' device nodes and the
 * driver's libraries, as NVIDIA's runtime gives them to a container that only looks at GPUs.
 * @param standard what `ctr oci spec` prints
 * @param devices `[path, major, minor]`
 */
export function gpuSpecification(
  standard: string,
  devices: readonly (readonly [string, number, number])[],
  driver: string,
  file: string,
): string {
  const specification = JSON.parse(standard);
  const { linux } = specification;
  linux.devices = devices.map(([at, major, minor]) => ({
    path: at,
    type: "c",
    major,
    minor,
    fileMode: 0o666,
    uid: 0,
    gid: 0,
  }));
  linux.resources.devices = [
    ...(linux.resources.devices ?? []),
    ...devices.map(([, major, minor]) => ({ allow: true, type: "c", major, minor, access: "rwm" })),
  ];
  specification.mounts.push({ destination: driver, type: "bind", source: driver, options: ["rbind", "ro"] });
  writeFileSync(file, JSON.stringify(specification));
  return file;
}

/** Names of the cards' device nodes. */
export function deviceNodes(): string[] {
  return readdirSync("/dev")
    .filter((name) => /^nvidia(\d+|ctl|-uvm|-uvm-tools)$/.test(name))
    .map((name) => `/dev/${name}`);
}

export { conditionOf };
