/** etcd and the API server: files, arguments, readiness. */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Programs } from "../binaries/index.ts";
import type { ClusterOptions } from "./options.ts";

/** Who may call the API server; each has a token, and the roles that Kubernetes gives a user of that name. */
export const identities = {
  admin: { user: "admin", groups: ["system:masters"] },
  "controller-manager": { user: "system:kube-controller-manager", groups: [] },
  scheduler: { user: "system:kube-scheduler", groups: [] },
  proxy: { user: "system:kube-proxy", groups: [] },
  kubelet: { user: "system:node:node1", groups: ["system:nodes"] },
} as const;

export type Identity = keyof typeof identities;

export interface Ports {
  readonly api: number;
  readonly etcd: number;
  readonly etcdPeer: number;
}

export class ControlPlane {
  readonly ports: Ports;
  readonly #folder: string;
  readonly #programs: Programs<"etcd" | "kube-apiserver">;
  readonly #options: ClusterOptions;
  readonly #tokens: Readonly<Record<Identity, string>>;

  /** Writes keys and tokens into `folder`. */
  constructor(folder: string, ports: Ports, programs: Programs<"etcd" | "kube-apiserver">, options: ClusterOptions) {
    this.#folder = folder;
    this.ports = ports;
    this.#programs = programs;
    this.#options = options;
    mkdirSync(this.#path("pki"), { recursive: true });
    const keys = generateKeyPairSync("rsa", {
      modulusLength: 2048,
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs1", format: "pem" },
    });
    writeFileSync(this.#path("pki/sa.key"), keys.privateKey, { mode: 0o600 });
    writeFileSync(this.#path("pki/sa.pub"), keys.publicKey);
    const tokens = Object.keys(identities).map((name) => [name, randomBytes(16).toString("hex")] as const);
    this.#tokens = Object.fromEntries(tokens) as Record<Identity, string>;
    const lines = tokens.map(([name, token]) => {
      const { user, groups } = identities[name as Identity];
      return `${token},${user},${user},"${groups.join(",")}"`;
    });
    writeFileSync(this.#path("pki/tokens.csv"), `${lines.join("\n")}\n`, { mode: 0o600 });
    if (options.audit) {
      writeFileSync(
        this.#path("audit-policy.json"),
        JSON.stringify({ apiVersion: "audit.k8s.io/v1", kind: "Policy", rules: [{ level: "Metadata" }] }),
      );
    }
  }

  /** One JSON event per line, one line per request; there only with the option `audit`. */
  get auditLog(): string {
    return this.#path("audit.log");
  }

  get saKey(): string {
    return this.#path("pki/sa.key");
  }

  /** The API server's own certificate; it signs itself. Written when it starts for the first time. */
  get caFile(): string {
    return this.#path("pki/api/apiserver.crt");
  }

  etcd(): string[] {
    const { etcd, etcdPeer } = this.ports;
    return [
      this.#programs.etcd,
      `--data-dir=${this.#path("etcd")}`,
      `--listen-client-urls=http://127.0.0.1:${etcd}`,
      `--advertise-client-urls=http://127.0.0.1:${etcd}`,
      `--listen-peer-urls=http://127.0.0.1:${etcdPeer}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${etcdPeer}`,
      `--initial-cluster=default=http://127.0.0.1:${etcdPeer}`,
      "--unsafe-no-fsync", // what a killed machine would lose is of no use to a test; killed processes lose nothing
      "--log-level=warn",
    ];
  }

  /** @param address what pods are told to call: the node's, or loopback where there is no node */
  apiServer(address: string): string[] {
    const { admission, audit, featureGates, apiServerArguments } = this.#options;
    return [
      this.#programs["kube-apiserver"],
      `--etcd-servers=http://127.0.0.1:${this.ports.etcd}`,
      `--bind-address=${address === "127.0.0.1" ? "127.0.0.1" : "0.0.0.0"}`,
      `--advertise-address=${address}`,
      ...(address === "127.0.0.1" ? ["--endpoint-reconciler-type=none"] : []), // a loopback address cannot be an endpoint
      `--secure-port=${this.ports.api}`,
      `--cert-dir=${this.#path("pki/api")}`,
      "--service-cluster-ip-range=10.96.0.0/16",
      "--authorization-mode=Node,RBAC",
      `--token-auth-file=${this.#path("pki/tokens.csv")}`,
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-signing-key-file=${this.#path("pki/sa.key")}`,
      `--service-account-key-file=${this.#path("pki/sa.pub")}`,
      "--allow-privileged=true",
      "--kubelet-preferred-address-types=InternalIP",
      `--enable-admission-plugins=${["NodeRestriction", ...(admission ?? [])].join(",")}`,
      ...(audit ? [`--audit-policy-file=${this.#path("audit-policy.json")}`, `--audit-log-path=${this.auditLog}`] : []),
      ...gates(featureGates),
      ...(apiServerArguments ?? []),
    ];
  }

  /**
   * A kubeconfig for one of the cluster's own.
   * @param port other than the API server's where it is reached through a portal
   */
  kubeconfig(identity: Identity, port = this.ports.api): object {
    return {
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        {
          name: "cluster",
          cluster: {
            server: `https://127.0.0.1:${port}`,
            "certificate-authority-data": readFileSync(this.caFile).toString("base64"),
            "tls-server-name": "kubernetes.default.svc",
          },
        },
      ],
      users: [{ name: identity, user: { token: this.#tokens[identity] } }],
      contexts: [{ name: identity, context: { cluster: "cluster", user: identity } }],
      "current-context": identity,
    };
  }

  /** @returns the path of a file with {@link kubeconfig} */
  writeKubeconfig(identity: Identity, port?: number): string {
    const file = this.#path(`${identity}.kubeconfig`);
    writeFileSync(file, JSON.stringify(this.kubeconfig(identity, port)), { mode: 0o600 });
    return file;
  }

  #path(name: string): string {
    return path.join(this.#folder, name);
  }
}

export function gates(featureGates: Readonly<Record<string, boolean>> | undefined): string[] {
  const list = Object.entries(featureGates ?? {}).map(([name, on]) => `${name}=${on}`);
  return list.length === 0 ? [] : [`--feature-gates=${list.join(",")}`];
}
