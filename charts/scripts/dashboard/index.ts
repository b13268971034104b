/** The dashboard: what is promised and what it takes, what it costs, what guardrails did. */
import { type Metric, type Panel, place, type Row } from "./panel.ts";

const onNode = '{instance=~"$instance"}';
const inPods = '{instance=~"$instance", namespace=~"$namespace", pod=~"$pod"}';

const gpu = (metric: Metric): string => `${metric}${onNode}`;
const container = (metric: Metric, more = ""): string =>
  `${metric}${more === "" ? inPods : inPods.replace("}", `, ${more}}`)}`;
const rate = (metric: Metric, more = ""): string => `rate(${container(metric, more)}[$__rate_interval])`;
const sum = (inner: string, by = ""): string => (by === "" ? `sum(${inner})` : `sum by (${by}) (${inner})`);

const card = "{{instance}} GPU {{gpu}}";
const owner = "{{namespace}}/{{pod}} {{container}}";
const byOwner = "namespace, pod, container";

function figure(title: string, about: string, unit: Panel["unit"], expr: string): Panel {
  return { title, about, unit, stat: true, width: 4, queries: [{ expr, legend: title }] };
}

function curve(title: string, about: string, unit: Panel["unit"], expr: string, legend: string): Panel {
  return { title, about, unit, queries: [{ expr, legend }] };
}

const held = sum(container("loretoken_container_held_bytes"));
const packed = sum(container("loretoken_container_packed_bytes"));
const host = sum(container("loretoken_container_host_bytes"));
const logical = `(${sum(container("loretoken_container_packed_logical_bytes"))} + ${sum(container("loretoken_container_host_logical_bytes"))})`;

const rows: readonly Row[] = [
  {
    title: "Now",
    panels: [
      figure(
        "Promised",
        "memory that containers are told they have",
        "bytes",
        sum(container("loretoken_container_virtual_bytes")),
      ),
      figure("Live", "logical bytes of allocations", "bytes", sum(container("loretoken_container_live_bytes"))),
      figure("Held in GPUs", "GPU memory that containers take", "bytes", held),
      figure(
        "Saved in GPUs",
        "bytes of what is packed, less the GPU memory it takes",
        "bytes",
        `${logical} - ${packed}`,
      ),
      figure("In host memory", "packed allocations that were moved to the host", "bytes", host),
      figure(
        "Containers that do not pack",
        "mode hold or off",
        "short",
        sum(container("loretoken_container_mode", 'mode!="full"')),
      ),
    ],
  },
  {
    title: "GPUs",
    panels: [
      curve(
        "Held of each card",
        "GPU memory that containers take, as a share of the card",
        "percentunit",
        `sum by (instance, gpu_uuid) (${gpu("loretoken_container_held_bytes")}) / on (instance, gpu_uuid) group_right () ${gpu("loretoken_gpu_physical_bytes")}`,
        card,
      ),
      curve(
        "Units given away",
        "of loretoken.dev/vram, as a share of what is offered",
        "percentunit",
        `${gpu("loretoken_gpu_allocated_units")} / (${gpu("loretoken_gpu_units")} > 0)`,
        card,
      ),
      curve("Temperature", "of each card", "celsius", gpu("loretoken_gpu_temperature_celsius"), card),
      curve("Power", "draw of each card", "watt", gpu("loretoken_gpu_power_watts"), card),
      curve("Healthy", "1: new containers are placed on it", "short", gpu("loretoken_gpu_healthy"), card),
    ],
  },
  {
    title: "Containers",
    panels: [
      {
        title: "Where bytes are",
        about: "GPU memory of all containers by what it holds, and packed allocations in host memory",
        unit: "bytes",
        stacked: true,
        queries: [
          { expr: sum(container("loretoken_container_raw_bytes")), legend: "raw" },
          { expr: packed, legend: "packed" },
          { expr: sum(container("loretoken_container_idle_bytes")), legend: "idle" },
          { expr: sum(container("loretoken_container_foreign_bytes")), legend: "mapped by programs" },
          { expr: host, legend: "host" },
        ],
      },
      curve(
        "Ratio",
        "bytes of packed allocations over the bytes they take",
        "short",
        container("loretoken_container_ratio"),
        owner,
      ),
      curve(
        "Promised",
        "memory that each container is told it has",
        "bytes",
        container("loretoken_container_virtual_bytes"),
        owner,
      ),
      curve("Live", "logical bytes of allocations", "bytes", container("loretoken_container_live_bytes"), owner),
      curve(
        "Pins",
        "allocations that must stay raw, by reason",
        "short",
        sum(container("loretoken_container_pins"), "reason"),
        "{{reason}}",
      ),
      curve("Mode", "containers by mode", "short", sum(container("loretoken_container_mode"), "mode"), "{{mode}}"),
    ],
  },
  {
    title: "What it costs",
    panels: [
      curve(
        "Time waited",
        "share of the time that launches waited for packed memory",
        "percentunit",
        sum(rate("loretoken_container_wait_seconds_total"), byOwner),
        owner,
      ),
      curve(
        "Streams stalled",
        "share of the time that streams waited on the GPU, where measured",
        "percentunit",
        sum(rate("loretoken_container_stall_seconds_total"), byOwner),
        owner,
      ),
      curve(
        "Penalty",
        "what the guardrail looks at: share of its last window",
        "percentunit",
        container("loretoken_container_penalty_ratio"),
        owner,
      ),
      curve(
        "Moved",
        "bytes packed, unpacked, moved to and from host memory",
        "Bps",
        sum(rate("loretoken_container_moved_bytes_total"), "move"),
        "{{move}}",
      ),
      curve("Launches", "kernel launches", "ops", sum(rate("loretoken_container_launches_total"), byOwner), owner),
      curve(
        "Launches that found something packed",
        "they waited",
        "ops",
        sum(rate("loretoken_container_slow_launches_total"), byOwner),
        owner,
      ),
    ],
  },
  {
    title: "Guardrails and failures",
    panels: [
      curve(
        "Guardrails",
        "how often each acted",
        "ops",
        sum(rate("loretoken_container_guardrail_events_total"), "guard"),
        "{{guard}}",
      ),
      curve(
        "Integrity",
        "packed copies that were wrong",
        "ops",
        sum(rate("loretoken_container_integrity_failures_total"), "kind"),
        "{{kind}}",
      ),
      curve(
        "Out of memory",
        "allocations that failed for want of room",
        "ops",
        sum(rate("loretoken_container_out_of_memory_total"), byOwner),
        owner,
      ),
      curve(
        "Packed in spite of mode",
        "so that programs got what they were promised",
        "ops",
        sum(rate("loretoken_container_forced_packs_total"), byOwner),
        owner,
      ),
    ],
  },
  {
    title: "Agents",
    panels: [
      curve(
        "Memory",
        "of each agent",
        "bytes",
        `process_resident_memory_bytes${onNode} and on (instance) ${gpu("loretoken_agent_info")}`,
        "{{instance}}",
      ),
      curve(
        "Processor",
        "of each agent, cores",
        "short",
        `rate(process_cpu_seconds_total${onNode}[$__rate_interval]) and on (instance) ${gpu("loretoken_agent_info")}`,
        "{{instance}}",
      ),
      curve(
        "Events waiting",
        "Kubernetes Events not delivered yet",
        "short",
        gpu("loretoken_agent_events_waiting"),
        "{{instance}}",
      ),
      curve(
        "Writes of GpuNodes",
        "by result",
        "ops",
        `sum by (result) (rate(${gpu("loretoken_agent_gpu_node_writes_total")}[$__rate_interval]))`,
        "{{result}}",
      ),
    ],
  },
];

export function dashboard(): object {
  const choice = (name: string, metric: Metric, within: string) => ({
    name,
    type: "query",
    datasource: { type: "prometheus", uid: "$datasource" },
    query: `label_values(${metric}${within}, ${name})`,
    refresh: 2,
    includeAll: true,
    multi: true,
    allValue: ".*",
    current: { text: "All", value: "$__all" },
  });
  return {
    uid: "loretoken",
    title: "LoreToken",
    tags: ["loretoken", "gpu"],
    schemaVersion: 39,
    editable: true,
    refresh: "30s",
    time: { from: "now-1h", to: "now" },
    templating: {
      list: [
        { name: "datasource", type: "datasource", query: "prometheus", current: {} },
        choice("instance", "loretoken_agent_info", ""),
        choice("namespace", "loretoken_container_virtual_bytes", onNode),
        choice("pod", "loretoken_container_virtual_bytes", '{namespace=~"$namespace"}'),
      ],
    },
    panels: place(rows),
  };
}
