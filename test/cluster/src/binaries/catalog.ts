/** Which programs a cluster is made of, which versions of them fit, and what builds those that the machine lacks. */

export const KUBERNETES_VERSION = "1.36.3";

/** Built together, in one run of the Go compiler. */
export type TargetName = "control" | "node" | "containerd" | "kubectl" | "helm";

export interface Target {
  /** What is compiled, as the Go command takes it from inside `test/cluster/go`. */
  readonly packages: readonly string[];
  /** Names under which the one program that comes out is called; none: each package is a program of its own name. */
  readonly aliases?: readonly string[];
  readonly tags?: readonly string[];
}

export const targets: Readonly<Record<TargetName, Target>> = {
  control: { packages: ["./control"], aliases: ["etcd", "kube-apiserver"] },
  node: {
    packages: ["./node"],
    aliases: ["kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"],
  },
  containerd: {
    packages: ["containerd", "containerd-shim-runc-v2", "ctr"].map(
      (name) => `github.com/containerd/containerd/v2/cmd/${name}`,
    ),
    tags: ["no_btrfs", "no_devmapper", "no_zfs"],
  },
  kubectl: { packages: ["k8s.io/kubernetes/cmd/kubectl"] },
  helm: { packages: ["helm.sh/helm/v4/cmd/helm"] },
};

export interface Program {
  /** Arguments that print the version. */
  readonly ask: readonly string[];
  /** Versions that fit, as `major.minor`: from the first to the last, the last open if left out. */
  readonly from: readonly [number, number];
  readonly to?: readonly [number, number];
  /** What builds it; a program without one comes from the system's packages (`scripts/bootstrap.sh cluster`). */
  readonly target?: TargetName;
}

const kubernetes = (target: TargetName): Program => ({ ask: ["--version"], from: [1, 36], to: [1, 36], target });
const containerd: Program = { ask: ["--version"], from: [2, 0], to: [2, 99], target: "containerd" };

export const programs = {
  etcd: { ask: ["--version"], from: [3, 5], target: "control" },
  "kube-apiserver": kubernetes("control"),
  "kube-controller-manager": kubernetes("node"),
  "kube-scheduler": kubernetes("node"),
  kubelet: kubernetes("node"),
  "kube-proxy": kubernetes("node"),
  containerd,
  // It has no version that tells it from another program: it is taken from beside containerd.
  "containerd-shim-runc-v2": { ...containerd, ask: ["-v"] },
  ctr: containerd,
  runc: { ask: ["--version"], from: [1, 1] },
  kubectl: { ask: ["version", "--client"], from: [1, 35], to: [1, 37], target: "kubectl" },
  helm: { ask: ["version", "--short"], from: [4, 0], to: [4, 99], target: "helm" },
} as const satisfies Record<string, Program>;

export type ProgramName = keyof typeof programs;

/** What a cluster without nodes needs. */
export const controlPrograms: readonly ProgramName[] = ["etcd", "kube-apiserver"];

/** What a cluster with a node needs on top. */
export const nodePrograms: readonly ProgramName[] = [
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "kube-proxy",
  "containerd",
  "containerd-shim-runc-v2",
  "ctr",
  "runc",
];

/** Whether the first version number in `text` fits. Text without one does not. */
export function fits(program: Program, text: string): boolean {
  const match = /(\d+)\.(\d+)\.\d+/.exec(text);
  if (match === null) return false;
  const version = [Number(match[1]), Number(match[2])] as const;
  return compare(version, program.from) >= 0 && (program.to === undefined || compare(version, program.to) <= 0);
}

function compare(left: readonly [number, number], right: readonly [number, number]): number {
  return left[0] - right[0] || left[1] - right[1];
}
