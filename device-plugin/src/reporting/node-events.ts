/** What happens to the node's GPUs, as Kubernetes Events on the Node. */
import { type Reason, reasons } from "@loretoken/api";
import type { EventInput, EventRecorder, ObjectReference } from "@loretoken/kube";

/** Reasons that are about nodes. */
export type NodeReason = {
  [R in Reason]: "Node" extends (typeof reasons)[R]["on"][number] ? R : never;
}[Reason];

/**
 * The kubelet names its node's events by the node's name in the place of the UID, and `kubectl describe node` looks for
 * both; so no right to read nodes is needed.
 */
export function nodeReference(node: string): ObjectReference {
  return { apiVersion: "v1", kind: "Node", name: node, uid: node };
}

export class NodeEvents {
  readonly #node: string;
  readonly #recorder: Pick<EventRecorder, "record">;

  constructor(node: string, recorder: Pick<EventRecorder, "record">) {
    this.#node = node;
    this.#recorder = recorder;
  }

  /** @param code the XID; @param gpuUuid undefined if the driver did not say which GPU */
  xid(gpuUuid: string | undefined, code: number): void {
    const where = gpuUuid === undefined ? "a GPU" : `GPU ${gpuUuid}`;
    this.#record("XidError", `${where}: the driver reported XID ${code}`, `${gpuUuid ?? ""}/${code}`);
  }

  /** @param count uncorrected errors since the GPU's start */
  ecc(gpuUuid: string, count: number): void {
    this.#record("EccError", `GPU ${gpuUuid}: ${count} memory errors that could not be corrected`, gpuUuid);
  }

  /** @param cause the driver's words */
  lost(gpuUuid: string, cause: string): void {
    this.#record("GpuLost", `GPU ${gpuUuid} stopped answering: ${cause}`, gpuUuid);
  }

  unhealthy(gpuUuid: string, cause: string): void {
    this.#record("GpuUnhealthy", `GPU ${gpuUuid} gets no new containers: ${cause}`, gpuUuid);
  }

  /** @param after milliseconds that it was ill */
  recovered(gpuUuid: string, after: number): void {
    this.#record("GpuRecovered", `GPU ${gpuUuid} gets containers again after ${Math.round(after / 1000)} s`, gpuUuid);
  }

  /** @param verdict what the agent tells the shims, in words with figure and limit */
  backoff(guard: "thermal" | "power", gpuUuid: string, verdict: string): void {
    this.#record(guard === "thermal" ? "ThermalBackoff" : "PowerBackoff", `GPU ${gpuUuid}: ${verdict}`, gpuUuid);
  }

  /** @param error what Allocate answered, with its figures */
  refused(error: string): void {
    this.#record("AllocationRefused", error, "");
  }

  hostFolderFull(error: string): void {
    this.#record("HostFolderFull", error, "");
  }

  #record(reason: NodeReason, message: string, series: string): void {
    const input: EventInput = {
      regarding: nodeReference(this.#node),
      type: reasons[reason].type,
      reason,
      message,
      series,
    };
    this.#recorder.record(input);
  }
}
