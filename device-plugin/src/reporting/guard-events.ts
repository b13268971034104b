/** Guardrail events of the shim as Kubernetes Events on the pod, with the figures in words. */
import { type Reason, reasons } from "@loretoken/api";
import type { EventInput, ObjectReference } from "@loretoken/kube";
import { type Guard, guards, modes, type RingPosition, type TelemetryEvent } from "@loretoken/telemetry";
import type { Holding, Owner } from "../holding.ts";

const reasonOf: Record<Guard, Reason> = {
  none: "CompressionHeld",
  integrity: "IntegrityMismatch",
  thermal: "ThermalBackoff",
  power: "PowerBackoff",
  penalty: "PenaltyBackoff",
  memory: "MemoryPromiseExceeded",
  driver: "DriverProblem",
  device: "DeviceFault",
};

/** Guards whose own reason says more than that the mode changed. */
const speakForThemselves: ReadonlySet<Guard> = new Set(["integrity", "memory", "driver", "device"]);

export function podReference(owner: Owner): ObjectReference {
  const { namespace, pod, podUid, container } = owner;
  const fieldPath = `spec.containers{${container}}`;
  return { apiVersion: "v1", kind: "Pod", namespace, name: pod, uid: podUid, fieldPath };
}

/** @param event what a program wrote into its file: any figure, any text */
export function guardEvent(holding: Holding, owner: Owner, event: TelemetryEvent, position: RingPosition): EventInput {
  const reason = guardReason(event);
  return {
    regarding: podReference(owner),
    type: reasons[reason].type,
    reason,
    message: guardMessage(holding, event),
    series: seriesOf(holding, owner),
    ...timeOf(event),
    mark: { source: holding.id, epoch: position.epoch, number: position.number },
  };
}

export function lostEvents(holding: Holding, owner: Owner, lost: number, position: RingPosition): EventInput {
  return {
    regarding: podReference(owner),
    type: reasons.GuardrailEventsLost.type,
    reason: "GuardrailEventsLost" satisfies Reason,
    message: `${lost} guardrail events of container ${owner.container} were overwritten before they were seen; the counters in metrics are complete`,
    series: seriesOf(holding, owner),
    mark: { source: holding.id, epoch: position.epoch, number: position.number },
  };
}

/** @param found bytes that the telemetry file had */
export function telemetryResized(holding: Holding, owner: Owner, found: number): EventInput {
  return {
    regarding: podReference(owner),
    type: reasons.TelemetryResized.type,
    reason: "TelemetryResized" satisfies Reason,
    message: `the telemetry file of container ${owner.container} had ${found} bytes; it was put back to its size`,
    series: seriesOf(holding, owner),
  };
}

/** Containers and GPUs of one pod are told apart. */
function seriesOf(holding: Holding, owner: Owner): string {
  return `${owner.container}/${holding.gpuUuid}`;
}

export function guardReason({ guard, from_mode, to_mode, eased }: TelemetryEvent): Reason {
  const name = guards[guard] ?? "none";
  if (eased !== 0 || to_mode < from_mode) return "CompressionResumed";
  if (modes[to_mode] === "off" && to_mode > from_mode && !speakForThemselves.has(name)) return "CompressionDisabled";
  return reasonOf[name];
}

function guardMessage(holding: Holding, event: TelemetryEvent): string {
  const parts = [
    `GPU ${holding.gpuUuid}`,
    event.text,
    figures(event),
    event.from_mode === event.to_mode ? "" : `mode ${modeName(event.from_mode)} to ${modeName(event.to_mode)}`,
  ];
  return parts.filter((part) => part !== "").join("; ");
}

function modeName(mode: number): string {
  return modes[mode] ?? `number ${mode}`;
}

/** Units are those of the guard: milli-degrees (a margin if negative), milliwatts, permille, bytes, counts. */
function figures({ guard, figure, limit }: TelemetryEvent): string {
  const name = guards[guard] ?? "none";
  if (figure === 0 && limit === 0) return "";
  const against = (text: string, than: string): string => (limit === 0 ? text : `${text}, limit ${than}`);
  switch (name) {
    case "thermal":
      return limit < 0
        ? against(`${degrees(-figure)} to slowdown`, `${degrees(-limit)} to slowdown`)
        : against(degrees(figure), degrees(limit));
    case "power":
      return against(`${(figure / 1000).toFixed(0)} W`, `${(limit / 1000).toFixed(0)} W`);
    case "penalty":
      return against(`launches waited ${percent(figure)} of the time`, percent(limit));
    case "memory":
      return against(mebibytes(figure), mebibytes(limit));
    case "integrity":
      return against(`${figure} mismatches`, `${limit}`);
    case "device":
      return figure === 0 ? "" : `XID ${figure}`;
    default:
      return against(`${figure}`, `${limit}`);
  }
}

const degrees = (milli: number): string => `${(milli / 1000).toFixed(1)} °C`;
const percent = (permille: number): string => `${(permille / 10).toFixed(1)} %`;
const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

/** The event's own time, unless a program wrote nonsense. */
function timeOf(event: TelemetryEvent): { time?: number } {
  const milliseconds = event.realtime_ns / 1e6;
  return milliseconds > 1e12 && milliseconds < 4e12 ? { time: milliseconds } : {};
}
