/** A GPU of the node as the agent sees it; who holds how much of it follows from the holdings. */
export interface GpuState {
  /** As in device IDs, `<index>-<unit>`. */
  readonly index: number;
  readonly uuid: string;
  readonly model: string;
  readonly health: { readonly state: "healthy" } | { readonly state: "unhealthy"; readonly cause: string };
  /** Bytes of the card. */
  readonly physical: bigint;
  /** Bytes that all its containers together may be told they have. */
  readonly virtual: bigint;
  /** Units offered to the kubelet, those held included. */
  readonly units: number;
  /** Degrees Celsius, to the card's own slowdown for the margin; watts. Left out: the card does not say. */
  readonly temperature?: number | undefined;
  readonly marginToSlowdown?: number | undefined;
  readonly power?: number | undefined;
  readonly powerLimit?: number | undefined;
}
