export interface ClusterOptions {
  /** `control`: etcd and API server on loopback, no rights needed. `node`: controllers, scheduler and one node too; needs root. */
  readonly kind: "control" | "node";
  /** Names the folder of logs, `build/cluster-logs/<name>`. */
  readonly name: string;
  /** With `control`: the controllers too (garbage collection, service accounts, namespaces that end, …). */
  readonly controllers?: boolean;
  /** Writes a line per request to {@link ControlPlane.auditLog}. */
  readonly audit?: boolean;
  /** Admission plugins on top of the defaults and NodeRestriction. */
  readonly admission?: readonly string[];
  readonly featureGates?: Readonly<Record<string, boolean>>;
  readonly apiServerArguments?: readonly string[];
  /** Merged over the kubelet's configuration. */
  readonly kubelet?: Readonly<Record<string, unknown>>;
  /** `host`: pods have the node's own network only (`hostNetwork: true`), and no CNI plugins are needed. `pods` if left out. */
  readonly network?: "pods" | "host";
  /** Runtimes besides runc's own by name: the file of the OCI specification that their containers start from. */
  readonly runtimes?: Readonly<Record<string, string>>;
  /** OCI tars that the node's containerd knows from the start. */
  readonly images?: readonly string[];
}
