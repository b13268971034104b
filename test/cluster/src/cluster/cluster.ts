/** A Kubernetes of one's own, for one test file: started, disturbed and removed by it. */
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import path from "node:path";
import { promisify } from "node:util";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { controlPrograms, nodePrograms } from "../binaries/catalog.ts";
import { type Programs, provide } from "../binaries/index.ts";
import { pauseImage } from "../images/bases.ts";
import { Component } from "./component.ts";
import { ControlPlane, type Identity } from "./control-plane.ts";
import { controllerManager, NODE_ADDRESS, NODE_NAME, Node } from "./node.ts";
import type { ClusterOptions } from "./options.ts";
import { Portals, portalProgram } from "./portal.ts";
import { freePorts } from "./ports.ts";
import { whyNoNode } from "./requirements.ts";
import { folderOf, linkPrograms, newName, sweep } from "./scratch.ts";
import { machine, NodeSpace, type Space } from "./space.ts";
import { until } from "./until.ts";

const run = promisify(execFile);

/** The cluster's own programs; those that a kind of cluster lacks are undefined. */
export interface Components {
  readonly etcd: Component;
  readonly apiServer: Component;
  readonly controllers?: Component;
  readonly scheduler?: Component;
  readonly containerd?: Component;
  readonly kubelet?: Component;
  readonly proxy?: Component;
}

export class Cluster {
  readonly options: ClusterOptions;
  /** All files of the cluster; gone when it stops. */
  readonly folder: string;
  /** A log per component; kept. */
  readonly logs: string;
  readonly control: ControlPlane;
  readonly node: Node | undefined;
  readonly components: Components;
  readonly #name: string;
  readonly #portals: Portals | undefined;
  readonly #portal: Component | undefined;
  readonly #others: Component[] = [];
  readonly #binFolder: string;
  #space: Space | undefined;

  private constructor(options: ClusterOptions, name: string, programs: Programs, ports: number[]) {
    this.options = options;
    this.#name = name;
    this.folder = folderOf(name);
    this.logs = path.resolve("build/cluster-logs", options.name);
    rmSync(this.logs, { recursive: true, force: true });
    mkdirSync(this.logs, { recursive: true });
    const [api = 6443, etcd = 2379, etcdPeer = 2380] = ports;
    const hasNode = options.kind === "node";
    this.control = new ControlPlane(this.folder, { api, etcd, etcdPeer }, programs, options);
    const control = this.control;
    const node = hasNode ? new Node(this.folder, programs, control, options) : undefined;
    this.node = node;
    const part = (partName: string, command: () => string[]) => this.#component(partName, command);
    this.components = {
      etcd: part("etcd", () => control.etcd()),
      apiServer: part("kube-apiserver", () => control.apiServer(hasNode ? NODE_ADDRESS : "127.0.0.1")),
      ...(node !== undefined && {
        controllers: part("kube-controller-manager", () => node.controllerManager()),
        scheduler: part("kube-scheduler", () => node.scheduler()),
        containerd: part("containerd", () => node.containerd()),
        kubelet: part("kubelet", () => node.kubelet()),
        proxy: part("kube-proxy", () => node.proxy()),
      }),
      ...(node === undefined &&
        options.controllers && {
          controllers: part("kube-controller-manager", () =>
            controllerManager(programs["kube-controller-manager"], control, options),
          ),
        }),
    };
    if (hasNode) {
      const socket = path.join(this.folder, "portal.sock");
      this.#portals = new Portals(socket);
      this.#portal = part("portal", () => [process.execPath, portalProgram, socket]);
    }
    this.#binFolder = linkPrograms(this.folder, programs);
  }

  /**
   * Brings a cluster up and waits until it is ready; a node takes 10 to 20 s of two cores.
   * @throws {Error} that says what is missing, or which component is not ready, with the end of its log
   */
  static async start(options: ClusterOptions, log: (message: string) => void = console.error): Promise<Cluster> {
    if (options.kind === "node") {
      const reason = await whyNoNode();
      if (reason !== undefined) throw new Error(`no node can be started: ${reason}`);
    }
    const names = [
      ...controlPrograms,
      ...(options.kind === "node" ? nodePrograms : []),
      ...(options.controllers && options.kind === "control" ? (["kube-controller-manager"] as const) : []),
    ];
    const programs = (await provide(names, log)) as Programs;
    const ports = options.kind === "control" ? await freePorts(3) : [];
    sweep();
    const cluster = new Cluster(options, newName(), programs, ports);
    try {
      await cluster.#boot();
      return cluster;
    } catch (error) {
      log(cluster.report());
      await cluster.stop();
      throw error;
    }
  }

  /** The name of the one node. @throws {Error} where there is none */
  get nodeName(): string {
    this.#requireNode();
    return NODE_NAME;
  }

  /** A kubeconfig file that works on this machine, outside of the node. */
  async kubeconfigFile(identity: Identity = "admin"): Promise<string> {
    const file = path.join(this.folder, `${identity}-outside.kubeconfig`);
    writeFileSync(file, JSON.stringify(this.control.kubeconfig(identity, await this.apiPort())), { mode: 0o600 });
    return file;
  }

  async kubeConfig(identity: Identity = "admin"): Promise<KubeConfig> {
    const config = new KubeConfig();
    config.loadFromString(JSON.stringify(this.control.kubeconfig(identity, await this.apiPort())));
    return config;
  }

  /** The API server's port on this machine's loopback address; the same as long as the cluster lives. */
  async apiPort(): Promise<number> {
    return this.#portals === undefined ? this.control.ports.api : this.portal(NODE_ADDRESS, this.control.ports.api);
  }

  /** @returns a port on this machine's 127.0.0.1 that leads to an address inside the node: a pod's, a service's */
  async portal(host: string, port: number): Promise<number> {
    if (this.#portals === undefined) throw new Error("this cluster has no node, and its ports are this machine's");
    return this.#portals.to(host, port);
  }

  /** A command of this machine that makes an OCI tar, appended to it, known to the node. */
  get imageCommand(): string[] {
    return this.#openSpace().command(this.#requireNode().ctr("images", "import"));
  }

  /** Makes an OCI tar known to the node. */
  async loadImage(tar: string): Promise<void> {
    await this.exec(this.#requireNode().ctr("images", "import", tar));
  }

  /** Runs a command inside the node, as root of it. @returns its standard output @throws {Error} with its errors */
  async exec(command: readonly string[], timeoutMs = 60_000): Promise<string> {
    const [file = "", ...args] = this.#openSpace().command(command);
    const { stdout } = await run(file, args, {
      timeout: timeoutMs,
      env: this.#environment(),
      maxBuffer: 64 << 20,
    });
    return stdout;
  }

  /** A process of the test's own beside the cluster's, inside the node if there is one; not started yet. */
  addProcess(name: string, command: readonly string[]): Component {
    const component = this.#component(name, () => [...command]);
    this.#others.push(component);
    return component;
  }

  /** Waits until the API server says that it is ready. */
  async apiReady(timeoutMs = 60_000): Promise<void> {
    const port = await this.apiPort();
    await until("the API server is ready", () => this.#getReady(port), { timeoutMs, check: () => this.#check() });
  }

  /** Waits until the node is Ready as of now, not as of before something was done to it. */
  async nodeReady(timeoutMs = 60_000): Promise<void> {
    const since = Math.floor(Date.now() / 1000) * 1000;
    const api = (await this.kubeConfig()).makeApiClient(CoreV1Api);
    await until(
      "the node is Ready",
      async () => {
        const node = await api.readNode({ name: NODE_NAME });
        const ready = node.status?.conditions?.find((condition) => condition.type === "Ready");
        return ready?.status === "True" && (ready.lastHeartbeatTime?.getTime() ?? 0) >= since;
      },
      { timeoutMs, check: () => this.#check() },
    );
  }

  /** The node loses power: every process is gone at once, `/run` is empty; what was on disk is there when it is up again. */
  async reboot(): Promise<void> {
    this.#requireNode();
    writeFileSync(path.join(this.folder, "keep"), "");
    await this.#powerOff();
    rmSync(path.join(this.folder, "keep"));
    await this.#boot();
  }

  /** Ends everything and removes its files, not the logs; those of pods are in `pods` beside the components'. */
  async stop(): Promise<void> {
    const podLogs = path.join(this.folder, "log/pods");
    if (existsSync(podLogs)) cpSync(podLogs, path.join(this.logs, "pods"), { recursive: true, force: true });
    await this.#portals?.close();
    if (this.options.kind === "node") await this.#powerOff();
    else for (const component of this.#all().reverse()) await component.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The end of every log, for a test that failed. */
  report(lines = 25): string {
    const parts = this.#all().map((component) => {
      const state = component.running ? "running" : "not running";
      return `==> ${component.name} (${state}, ${component.log})\n${component.tail(lines)}`;
    });
    return parts.join("\n\n");
  }

  async #boot(): Promise<void> {
    const { etcd, apiServer, controllers, scheduler, containerd, kubelet, proxy } = this.components;
    this.#space = this.node === undefined ? machine : await NodeSpace.open(this.#name, this.folder);
    await Promise.all([this.#portal, containerd, etcd].map((component) => component?.start()));
    await apiServer.start();
    if (this.node !== undefined) await this.#importImages(this.node);
    await this.apiReady();
    await Promise.all([controllers, scheduler, kubelet, proxy].map((component) => component?.start()));
    if (this.node !== undefined) await this.nodeReady();
  }

  async #importImages(node: Node): Promise<void> {
    await until("containerd answers", () => this.exec(node.ctr("version")), { check: () => this.#check() });
    for (const image of [await pauseImage(this.folder), ...(this.options.images ?? [])]) await this.loadImage(image);
  }

  async #powerOff(): Promise<void> {
    for (const component of this.#all()) component.expectEnd();
    if (this.#space instanceof NodeSpace) await this.#space.close();
    await Promise.all(this.#all().map((component) => component.ended()));
    this.#space = undefined;
  }

  #check(): void {
    for (const component of this.#all()) component.check();
  }

  #all(): Component[] {
    const portal = this.#portal === undefined ? [] : [this.#portal];
    return [...portal, ...Object.values(this.components).filter((part) => part !== undefined), ...this.#others];
  }

  #component(name: string, command: () => string[]): Component {
    const log = path.join(this.logs, `${name}.log`);
    return new Component(
      name,
      log,
      () => this.#openSpace(),
      () => ({ argv: command(), env: this.#environment() }),
    );
  }

  /** containerd finds its shim, and kubelet its tools, on PATH. */
  #environment(): Record<string, string> {
    return { PATH: `${this.#binFolder}:${process.env.PATH ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin` };
  }

  #openSpace(): Space {
    if (this.#space === undefined) throw new Error("the cluster is not running");
    return this.#space;
  }

  #requireNode(): Node {
    if (this.node === undefined) throw new Error("this cluster was started without a node");
    return this.node;
  }

  async #getReady(port: number): Promise<boolean> {
    const token = (await this.kubeConfig()).getCurrentUser()?.token;
    return new Promise((resolve, reject) => {
      const call = request({
        host: "127.0.0.1",
        port,
        path: "/readyz",
        rejectUnauthorized: false, // readiness says nothing secret, and the certificate may not be there yet
        headers: { authorization: `Bearer ${token}` },
        timeout: 2000,
      });
      call.on("response", (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      });
      call.on("timeout", () => call.destroy(new Error("no answer within 2 s")));
      call.on("error", reject);
      call.end();
    });
  }
}
