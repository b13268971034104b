/** Every metric that the agent offers: docs/reference/metrics.md is generated from this, and a test holds /metrics to it. */

export interface MetricFacts {
  readonly type: "gauge" | "counter";
  readonly labels: readonly string[];
  readonly help: string;
}

const container = ["namespace", "pod", "container", "gpu_uuid"] as const;
const gpu = ["gpu_uuid", "gpu"] as const;

const gauge = <L extends readonly string[]>(labels: L, help: string) => ({ type: "gauge", labels, help }) as const;
const counter = <L extends readonly string[]>(labels: L, help: string) => ({ type: "counter", labels, help }) as const;

export const metricCatalog = {
  loretoken_container_virtual_bytes: gauge(container, "memory that the container's programs are told they have"),
  loretoken_container_guaranteed_bytes: gauge(container, "GPU memory kept for the container whatever others do"),
  loretoken_container_units: gauge(container, "units of loretoken.dev/vram that the container holds"),
  loretoken_container_live_bytes: gauge(container, "logical bytes of live allocations"),
  loretoken_container_raw_bytes: gauge(container, "GPU memory that holds allocations as they are"),
  loretoken_container_packed_bytes: gauge(container, "GPU memory that holds packed allocations"),
  loretoken_container_packed_logical_bytes: gauge(container, "bytes of the allocations that are packed in GPU memory"),
  loretoken_container_host_bytes: gauge(container, "host memory that holds packed allocations"),
  loretoken_container_host_logical_bytes: gauge(container, "bytes of the allocations that are packed in host memory"),
  loretoken_container_idle_bytes: gauge(container, "GPU memory kept for reuse"),
  loretoken_container_foreign_bytes: gauge(container, "GPU memory that the program maps itself; never packed"),
  loretoken_container_held_bytes: gauge(container, "GPU memory in all: raw, packed, idle, foreign, scratch"),
  loretoken_container_ratio: gauge(
    container,
    "bytes of packed allocations over the bytes they take, both tiers; 1 if nothing is packed",
  ),
  loretoken_container_processes: gauge(container, "processes that use the GPU"),
  loretoken_container_mode: gauge(
    [...container, "mode"],
    "1 for the strictest mode of the container's processes, else 0; mode: full, hold, off",
  ),
  loretoken_container_pins: gauge([...container, "reason"], "allocations that must stay raw"),
  loretoken_container_penalty_ratio: gauge(
    container,
    "share of the last window that launches waited for us, of the worst process",
  ),
  loretoken_container_telemetry_readable: gauge(
    container,
    "0 if the container's telemetry file is damaged or of another version, else 1",
  ),
  loretoken_container_policy_generation: gauge(
    [...container, "policy", "reason"],
    "generation of the policy that the container goes by, or that reason is about; 0 if there is none; reason as policyReason of a GpuNode's container",
  ),
  loretoken_container_policy_pending: gauge(
    container,
    "1 if the agent does not know yet which policy applies, or a process of the container does not go by it yet; else 0",
  ),
  loretoken_container_launches_total: counter(container, "kernel launches"),
  loretoken_container_slow_launches_total: counter(container, "launches that found something packed"),
  loretoken_container_packs_total: counter(container, "allocations packed"),
  loretoken_container_forced_packs_total: counter(
    container,
    "allocations packed though the mode was hold or off, so that the program got what it was promised",
  ),
  loretoken_container_unpacks_total: counter(container, "allocations unpacked"),
  loretoken_container_moved_bytes_total: counter(
    [...container, "move"],
    "bytes moved; move: pack and unpack in decoded bytes, spill and fetch (to and from host memory) in packed bytes",
  ),
  loretoken_container_wait_seconds_total: counter(container, "time that launches waited for us on the host"),
  loretoken_container_stall_seconds_total: counter(
    container,
    "time that streams waited for us on the GPU, where measured",
  ),
  loretoken_container_out_of_memory_total: counter(container, "allocations that failed for want of room"),
  loretoken_container_integrity_failures_total: counter(
    [...container, "kind"],
    "kind verify: packed copies that did not decode to the original, kept raw; checksum: blocks that were wrong when unpacked",
  ),
  loretoken_container_guardrail_events_total: counter(
    [...container, "guard"],
    "guardrails that acted; guard: integrity, thermal, power, penalty, memory, driver, device",
  ),
  loretoken_gpu_info: gauge([...gpu, "model"], "always 1"),
  loretoken_gpu_physical_bytes: gauge(gpu, "memory of the card"),
  loretoken_gpu_virtual_bytes: gauge(gpu, "memory that all its containers together may be told they have"),
  loretoken_gpu_guaranteed_bytes: gauge(gpu, "memory kept for containers"),
  loretoken_gpu_units: gauge(gpu, "units of loretoken.dev/vram offered"),
  loretoken_gpu_allocated_units: gauge(gpu, "units that containers hold"),
  loretoken_gpu_healthy: gauge(gpu, "1 if new containers are placed on the GPU, else 0"),
  loretoken_gpu_temperature_celsius: gauge(gpu, "temperature; missing if the card does not say"),
  loretoken_gpu_temperature_margin_celsius: gauge(
    gpu,
    "degrees to the card's own slowdown; missing if the card does not say",
  ),
  loretoken_gpu_power_watts: gauge(gpu, "power draw; missing if the card does not say"),
  loretoken_gpu_power_limit_watts: gauge(gpu, "enforced power limit; missing if the card does not say"),
  loretoken_agent_info: gauge(["version"], "always 1"),
  loretoken_agent_unowned_allocations: gauge(
    [],
    "allocations of which the kubelet has not said yet whose they are; they have no series of their own",
  ),
  loretoken_agent_policy_generation: gauge(
    ["policy", "reason"],
    "generation of the policy that the node goes by, or that reason is about; 0 if there is none; reason as policyReason of a GpuNode",
  ),
  loretoken_agent_unreadable_policies: gauge(
    [],
    "policies of another version that the agent does not understand, and leaves out; 16 at most are counted",
  ),
  loretoken_agent_policy_delivery_seconds: gauge(
    [],
    "time from hearing of the last change that mattered until all control files had it; missing before the first",
  ),
  loretoken_agent_events_waiting: gauge([], "Kubernetes Events not delivered yet"),
  loretoken_agent_events_delivered_total: counter([], "Kubernetes Events delivered"),
  loretoken_agent_events_refused_total: counter([], "Kubernetes Events that the API server refused for good"),
  loretoken_agent_events_rejected_total: counter(
    [],
    "times that the queue of events was full; events of containers stay in their ring then",
  ),
  loretoken_agent_event_retries_total: counter([], "requests for events that had to be repeated"),
  loretoken_agent_guardrail_events_lost_total: counter(
    [],
    "guardrail events that were overwritten before they were seen",
  ),
  loretoken_agent_gpu_node_writes_total: counter(["result"], "writes of the node's GpuNode; result: ok, error"),
  loretoken_agent_scrape_seconds: gauge([], "time that the scrape before took"),
  process_cpu_seconds_total: counter([], "CPU time of the agent"),
  process_resident_memory_bytes: gauge([], "memory of the agent"),
  process_open_fds: gauge([], "open files of the agent"),
  process_start_time_seconds: gauge([], "when the agent started, since the epoch"),
} as const satisfies Record<string, MetricFacts>;

export type MetricName = keyof typeof metricCatalog;

export function metricsTable(): string {
  const rows = Object.entries(metricCatalog as Record<string, MetricFacts>).map(
    ([name, { type, labels, help }]) => `| \`${name}\` | ${type} | ${labels.join(", ")} | ${help} |`,
  );
  return ["| name | type | labels | meaning |", "|---|---|---|---|", ...rows].join("\n");
}
