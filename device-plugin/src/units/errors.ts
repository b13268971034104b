/** Why an allocation is refused. The kubelet shows the message at the pod; the reason names the Event. */
export type RefusalReason =
  /** An ID that was never offered, or is no longer. */
  | "UnknownUnit"
  | "GpuUnhealthy"
  /** The units lie on several GPUs: the node's free units are scattered. */
  | "UnitsOnSeveralGpus"
  /** A container has them, by the word of the kubelet itself. */
  | "UnitsAlreadyGiven"
  /** What is promised, and what strangers use, leaves less than the guarantee. */
  | "NotEnoughMemory"
  /** The host's folder cannot be written, the shim is not delivered, or the kubelet cannot be asked. */
  | "NodeNotReady";

export class AllocationError extends Error {
  override name = "AllocationError";
  readonly reason: RefusalReason;
  /** The GPU in question, if it is one. */
  readonly gpuUuid: string | undefined;

  constructor(reason: RefusalReason, message: string, options: { gpuUuid?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.reason = reason;
    this.gpuUuid = options.gpuUuid;
  }
}
