/** The node's own programs: containerd, kubelet, kube-proxy, and the controllers and scheduler that live beside them. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { nodePrograms } from "../binaries/catalog.ts";
import type { Programs } from "../binaries/index.ts";
import { type ControlPlane, gates } from "./control-plane.ts";
import type { ClusterOptions } from "./options.ts";

export const NODE_NAME = "node1";
/** The node's address inside its namespaces, and the API server's. */
export const NODE_ADDRESS = "10.88.0.1";
export const PAUSE_IMAGE = "loretoken.local/pause:1";

export class Node {
  readonly #folder: string;
  readonly #programs: Programs<(typeof nodePrograms)[number]>;
  readonly #control: ControlPlane;
  readonly #options: ClusterOptions;

  /** Writes configurations into `folder`. */
  constructor(
    folder: string,
    programs: Programs<(typeof nodePrograms)[number]>,
    control: ControlPlane,
    options: ClusterOptions,
  ) {
    this.#folder = folder;
    this.#programs = programs;
    this.#control = control;
    this.#options = options;
    mkdirSync(this.#path("cni"), { recursive: true });
    writeFileSync(this.#path("cni/10-bridge.conflist"), JSON.stringify(this.#network()));
    writeFileSync(this.#path("containerd.toml"), this.#containerdConfig());
    writeFileSync(this.#path("kubelet.json"), JSON.stringify(this.#kubeletConfig()));
    writeFileSync(this.#path("resolv.conf"), "");
  }

  /** The kubelet's folder as the machine sees it: sockets in it can be used from outside of the node. */
  get kubeletFolder(): string {
    return this.#path("lib/kubelet");
  }

  get containerdSocket(): string {
    return this.#path("containerd/containerd.sock");
  }

  containerd(): string[] {
    return [this.#programs.containerd, `--config=${this.#path("containerd.toml")}`];
  }

  /** `ctr` in the kubelet's namespace of containerd. */
  ctr(...args: string[]): string[] {
    return [this.#programs.ctr, `--address=${this.containerdSocket}`, "--namespace=k8s.io", ...args];
  }

  controllerManager(): string[] {
    return controllerManager(this.#programs["kube-controller-manager"], this.#control, this.#options);
  }

  scheduler(): string[] {
    return [
      this.#programs["kube-scheduler"],
      `--kubeconfig=${this.#control.writeKubeconfig("scheduler")}`,
      "--bind-address=127.0.0.1",
      "--leader-elect=false",
      `--cert-dir=${this.#path("pki/scheduler")}`,
      ...gates(this.#options.featureGates),
    ];
  }

  kubelet(): string[] {
    return [
      this.#programs.kubelet,
      `--kubeconfig=${this.#control.writeKubeconfig("kubelet")}`,
      `--config=${this.#path("kubelet.json")}`,
      `--hostname-override=${NODE_NAME}`,
      `--node-ip=${NODE_ADDRESS}`,
      `--cert-dir=${this.#path("pki/kubelet")}`,
    ];
  }

  proxy(): string[] {
    const config = this.#path("proxy.json");
    writeFileSync(config, JSON.stringify(this.#proxyConfig()));
    return [this.#programs["kube-proxy"], `--config=${config}`];
  }

  #network(): object {
    return {
      cniVersion: "0.4.0",
      name: "pods",
      plugins: [
        {
          type: "bridge",
          bridge: "cni0",
          isGateway: true,
          hairpinMode: true,
          ipam: {
            type: "host-local",
            ranges: [[{ subnet: "10.88.0.0/16", rangeStart: "10.88.1.10" }]],
            routes: [{ dst: "0.0.0.0/0" }],
            dataDir: this.#path("ipam"),
          },
        },
      ],
    };
  }

  #containerdConfig(): string {
    const cri = `plugins."io.containerd.cri.v1.runtime"`;
    return `
version = 3
root = "${this.#path("containerd/root")}"
state = "${this.#path("containerd/state")}"
[grpc]
  address = "${this.containerdSocket}"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "${PAUSE_IMAGE}"
[${cri}]
  restrict_oom_score_adj = true # without CAP_SYS_RESOURCE, as in many containers
${this.#runtimes(`${cri}.containerd.runtimes`)}
  [${cri}.cni]
    bin_dirs = ${JSON.stringify(this.#pluginFolders())}
    conf_dir = "${this.#path("cni")}"
`;
  }

  #runtimes(table: string): string {
    const all: [string, string | undefined][] = [["runc", undefined], ...Object.entries(this.#options.runtimes ?? {})];
    return all
      .map(
        ([name, specification]) => `
  [${table}.${name}]
    runtime_type = "io.containerd.runc.v2"
    ${specification === undefined ? "" : `base_runtime_spec = "${specification}"`}
    [${table}.${name}.options]
      BinaryName = "${this.#programs.runc}"
      SystemdCgroup = false`,
      )
      .join("\n");
  }

  /** @throws {Error} where pods shall have a network of their own and there are none */
  #pluginFolders(): string[] {
    if (this.#options.network === "host") return [];
    const plugins = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"].filter((dir) => existsSync(`${dir}/bridge`));
    if (plugins.length > 0) return plugins;
    throw new Error(
      "no CNI plugins in /opt/cni/bin, /usr/lib/cni or /usr/libexec/cni: run scripts/bootstrap.sh cluster",
    );
  }

  #kubeletConfig(): object {
    return {
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      kind: "KubeletConfiguration",
      cgroupDriver: "cgroupfs",
      failCgroupV1: false, // the kubelet refuses it otherwise since 1.35
      failSwapOn: false,
      oomScoreAdj: 0, // without CAP_SYS_RESOURCE
      containerRuntimeEndpoint: `unix://${this.containerdSocket}`,
      authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
      authorization: { mode: "AlwaysAllow" },
      resolvConf: this.#path("resolv.conf"), // there is no DNS server; pods find services by their variables
      nodeStatusUpdateFrequency: "2s",
      imageGCHighThresholdPercent: 100, // images came in by hand and cannot be pulled again
      evictionHard: { "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%" },
      featureGates: this.#options.featureGates ?? {},
      ...this.#options.kubelet,
    };
  }

  #proxyConfig(): object {
    return {
      apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
      kind: "KubeProxyConfiguration",
      mode: "nftables",
      nftables: { masqueradeAll: true }, // pods share a bridge: an answer would go past the translation otherwise
      clientConnection: { kubeconfig: this.#control.writeKubeconfig("proxy") },
      clusterCIDR: "10.88.0.0/16",
      conntrack: { maxPerCore: 0, min: 0 },
      hostnameOverride: NODE_NAME,
    };
  }

  #path(name: string): string {
    return path.join(this.#folder, name);
  }
}

export function controllerManager(program: string, control: ControlPlane, options: ClusterOptions): string[] {
  return [
    program,
    `--kubeconfig=${control.writeKubeconfig("controller-manager")}`,
    "--use-service-account-credentials=true",
    `--service-account-private-key-file=${control.saKey}`,
    `--root-ca-file=${control.caFile}`,
    "--secure-port=0",
    "--leader-elect=false",
    ...gates(options.featureGates),
  ];
}
