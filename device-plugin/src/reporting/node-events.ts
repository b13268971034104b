/** What happens to the node's GPUs, as Kubernetes Events on the Node. */
import { type Reason, reasons } from "@loretoken/api";
import type { EventRecorder, ObjectReference } from "@loretoken/kube";
import { modes } from "@loretoken/telemetry";
import type { Verdict } from "../control/block.ts";

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

  /** @param at milliseconds since the epoch */
  xid(gpuUuid: string, code: number, at: number): void {
    this.#record("XidError", `GPU ${gpuUuid}: the driver reported XID ${code}`, `${gpuUuid}/${code}`, at);
  }

  /** @param count uncorrected errors since the GPU was started, if the card says */
  ecc(gpuUuid: string, count: number | undefined, at: number): void {
    const since = count === undefined ? "" : `, ${count} since the GPU was started`;
    this.#record("EccError", `GPU ${gpuUuid}: a memory error that could not be corrected${since}`, gpuUuid, at);
  }

  unhealthy(gpuUuid: string, cause: string): void {
    this.#record("GpuUnhealthy", `GPU ${gpuUuid} gets no new containers: ${cause}`, gpuUuid);
  }

  /** @param after milliseconds that it was ill, if that is known */
  recovered(gpuUuid: string, after: number | undefined): void {
    const time = after === undefined ? "" : ` after ${Math.round(after / 1000)} s`;
    this.#record("GpuRecovered", `GPU ${gpuUuid} gets containers again${time}`, gpuUuid);
  }

  /** Heat and power; what the driver reports of faults has events of its own. */
  verdict(gpuUuid: string, before: Verdict | undefined, after: Verdict | undefined): void {
    const guard = (after ?? before)?.guard;
    if (guard !== "thermal" && guard !== "power") return;
    if (after === undefined) this.#record("CompressionResumed", `GPU ${gpuUuid}: ${guard} limit kept again`, gpuUuid);
    else if (before?.guard === guard && modes.indexOf(after.mode) < modes.indexOf(before.mode))
      this.#record("CompressionResumed", `GPU ${gpuUuid}: ${guard}: ${verdictWords(after)}`, gpuUuid);
    else this.#record(backoffs[guard], `GPU ${gpuUuid}: ${verdictWords(after)}`, gpuUuid);
  }

  /** @param message what Allocate answered, with its figures */
  refused(reason: string, message: string, gpuUuid: string | undefined): void {
    this.#record("AllocationRefused", message, `${reason}/${gpuUuid ?? ""}`);
  }

  #record(reason: NodeReason, message: string, series: string, time?: number): void {
    this.#recorder.record({
      regarding: nodeReference(this.#node),
      type: reasons[reason].type,
      reason,
      message,
      series,
      ...(time === undefined ? {} : { time }),
    });
  }
}

const backoffs = { thermal: "ThermalBackoff", power: "PowerBackoff" } as const;

function verdictWords({ guard, mode, figure, limit, backoff }: Verdict): string {
  const unit = guard === "thermal" ? "°C" : "W";
  const amount = (milli: number): string => `${(milli / 1000).toFixed(guard === "thermal" ? 1 : 0)} ${unit}`;
  const figures = limit === 0 ? "the card slows itself down" : `${amount(figure)}, limit ${amount(limit)}`;
  const does = mode === "full" ? `packing at 1/${2 ** backoff} of its rate` : `mode at most ${mode}`;
  return `${figures}; ${does}`;
}
