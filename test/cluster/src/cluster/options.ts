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
  /** OCI tars that the node's containerd knows from the start. */
  readonly images?: readonly string[];
}
