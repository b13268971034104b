/** Whose an allocation is; known once the kubelet's pod-resources API has said so, never guessed. */
export interface Owner {
  namespace: string;
  pod: string;
  podUid: string;
  container: string;
}

/** What one container holds on one GPU: one call of Allocate. Plain data, also what is kept on disk. */
export interface Holding {
  /** Names the allocation and its folder on the host. */
  id: string;
  gpuUuid: string;
  /** Device IDs, `<gpu index>-<unit>`. */
  units: string[];
  /** Physical bytes guaranteed, and bytes the program is told. */
  guaranteed: bigint;
  virtualSize: bigint;
  /** Milliseconds since the epoch. */
  allocatedAt: number;
  owner?: Owner;
  /** The telemetry file on the host. */
  telemetry: string;
  /** The control file on the host. */
  control: string;
}
