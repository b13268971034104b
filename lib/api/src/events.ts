/** Every reason that LoreToken's Kubernetes Events have. docs/reference/events.md is generated from this. */

export interface ReasonFacts {
  readonly type: "Normal" | "Warning";
  /** Which objects such events are about. */
  readonly on: readonly ("Pod" | "Node")[];
  /** When it is reported. */
  readonly when: string;
  /** What its message carries. */
  readonly figures: string;
  readonly todo: string;
}

export const reasons = {
  IntegrityMismatch: {
    type: "Warning",
    on: ["Pod"],
    when: "packed memory did not decode to what it was made from, or a checksum was wrong",
    figures: "mismatches in the window, and the threshold",
    todo: "one alone may be a bit flip in GPU memory: look for EccError and XidError on the node; more on one node: take the GPU out; on all nodes: report it, and set the policy's codecs or verify: always",
  },
  ThermalBackoff: {
    type: "Warning",
    on: ["Pod", "Node"],
    when: "packing was slowed down or stopped because the GPU is too hot",
    figures: "temperature or margin to slowdown, and the limit",
    todo: "look after cooling; or raise the policy's thermal limit",
  },
  PowerBackoff: {
    type: "Warning",
    on: ["Pod", "Node"],
    when: "packing was slowed down or stopped because the GPU draws too much power",
    figures: "watts, and the limit",
    todo: "raise the GPU's power limit or the policy's",
  },
  PenaltyBackoff: {
    type: "Warning",
    on: ["Pod"],
    when: "packing was lessened because launches waited too long for memory to be unpacked",
    figures: "share of the time waited, and the policy's maxPenaltyPercent",
    todo: "give the pod more memory, lower the expansion of its node, or raise maxPenaltyPercent",
  },
  CompressionDisabled: {
    type: "Warning",
    on: ["Pod"],
    when: "the container runs as on plain CUDA from here on: its mode became off",
    figures: "what was measured, and the limit",
    todo: "see the cause in the message; it comes back by itself when a limit is kept again",
  },
  CompressionHeld: {
    type: "Normal",
    on: ["Pod"],
    when: "the policy asks that nothing new is packed: the container's mode became hold",
    figures: "none",
    todo: "nothing; set the policy's mode to full to pack again",
  },
  CompressionResumed: {
    type: "Normal",
    on: ["Pod", "Node"],
    when: "a guardrail asks for less than before: a less strict mode, packing at its full rate, or allocations packed that were left raw; on a node: a guardrail of a GPU no longer acts",
    figures: "what was measured, and the limit",
    todo: "nothing",
  },
  MemoryPromiseExceeded: {
    type: "Warning",
    on: ["Pod"],
    when: "the program needed more than could be held: its allocation failed as on a full card",
    figures: "bytes asked for, and what the container may hold",
    todo: "ask for more loretoken.dev/vram, or allow the host tier",
  },
  DriverProblem: {
    type: "Warning",
    on: ["Pod"],
    when: "the shim could not start or the driver failed it, and the program runs as on plain CUDA",
    figures: "the driver's own words",
    todo: "see the cause in the message; kubectl logs of the pod says more",
  },
  DeviceFault: {
    type: "Warning",
    on: ["Pod"],
    when: "packing was put off because the GPU reported a fault",
    figures: "the XID, where there is one; the number of memory errors, if the card says",
    todo: "see the node's events",
  },
  GuardrailEventsLost: {
    type: "Warning",
    on: ["Pod"],
    when: "a container's guardrails acted more often than its telemetry file keeps between two looks",
    figures: "how many events were overwritten unseen",
    todo: "the counters in metrics are complete; look at the guardrail that acts most",
  },
  TelemetryResized: {
    type: "Warning",
    on: ["Pod"],
    when: "the container let its telemetry file grow or shrink; it was put back to its size",
    figures: "bytes found",
    todo: "find out what in the container writes to /run/loretoken/telemetry",
  },
  XidError: {
    type: "Warning",
    on: ["Node"],
    when: "the driver reported an error of a GPU (XID)",
    figures: "the XID",
    todo: "NVIDIA's list of XID errors says what it means",
  },
  EccError: {
    type: "Warning",
    on: ["Node"],
    when: "a GPU counted memory errors that it could not correct",
    figures: "errors since the GPU was started, if the card says",
    todo: "drain the node and reset the GPU; if it comes back, replace the GPU",
  },
  GpuUnhealthy: {
    type: "Warning",
    on: ["Node"],
    when: "no new container is placed on a GPU: a fault, a memory error, or it stopped answering",
    figures: "the cause",
    todo: "see the cause; running containers are left alone; a GPU that is lost needs a reset or a reboot of the node",
  },
  GpuRecovered: {
    type: "Normal",
    on: ["Node"],
    when: "containers are placed on a GPU again",
    figures: "how long it was ill",
    todo: "nothing",
  },
  AllocationRefused: {
    type: "Warning",
    on: ["Node"],
    when: "a container could not be given its memory, though the scheduler saw units on the node",
    figures: "the reason in words, with what was asked for and what is free",
    todo: "a container lives on one GPU: ask for less, or wait until one GPU has enough free; the kubelet shows the same words at the pod",
  },
} as const satisfies Record<string, ReasonFacts>;

export type Reason = keyof typeof reasons;

export function eventsReference(): string {
  const rows = Object.entries(reasons as Record<string, ReasonFacts>).map(
    ([reason, { type, on, when, figures, todo }]) =>
      `| \`${reason}\` | ${type} | ${on.join(", ")} | ${when} | ${figures} | ${todo} |`,
  );
  return [
    "# Events",
    "",
    "What LoreToken reports about pods and nodes, as `kubectl describe pod`, `kubectl describe node` and `kubectl get events` show it.",
    "Generated from `lib/api/src/events.ts`.",
    "",
    "Events of one object with the same reason, type and GPU are one Event: its count says how often, its message has the latest",
    "figures. Each occurrence is counted once, also over restarts of the agent and of the API server. Two writes of one Event are",
    "at least 10 s apart; what happens between them is counted in the later one. Events about nodes lie in the namespace",
    "`default`. The annotations `loretoken.dev/event-write` and `loretoken.dev/event-mark` are the agent's own book-keeping.",
    "",
    "| reason | type | about | when | figures in the message | what to do |",
    "|---|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
