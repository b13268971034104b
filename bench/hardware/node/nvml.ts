/** Every call of lib/nvml against the library of this machine, beside what nvidia-smi says. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Device, Nvml } from "@loretoken/nvml";
import type { Table } from "./table.ts";

const run = promisify(execFile);

export interface Compared {
  readonly call: string;
  readonly binding: string;
  readonly smi: string;
  readonly ok: boolean;
}

/** A figure that moves is right when nvidia-smi's lies between two readings of ours, or this far outside of them. */
interface Figure {
  readonly call: string;
  readonly field: string;
  readonly read: (device: Device) => number | undefined;
  readonly slack: number;
}

interface Text {
  readonly call: string;
  readonly field: string;
  readonly read: (device: Device) => string | undefined;
}

const mib = (bytes: number | undefined) => (bytes === undefined ? undefined : Math.floor(bytes / 2 ** 20));
const watts = (milliwatts: number | undefined) => (milliwatts === undefined ? undefined : milliwatts / 1000);
const enabled = (on: boolean | undefined) => (on === undefined ? "[N/A]" : on ? "Enabled" : "Disabled");

const texts: readonly Text[] = [
  { call: "nvmlDeviceGetUUID", field: "uuid", read: (device) => device.uuid },
  { call: "nvmlDeviceGetName", field: "name", read: (device) => device.name },
  { call: "nvmlDeviceGetIndex", field: "index", read: (device) => String(device.index) },
  { call: "nvmlDeviceGetPciInfo_v3", field: "pci.bus_id", read: (device) => device.busId },
  {
    call: "nvmlDeviceGetMigMode (now)",
    field: "mig.mode.current",
    read: (device) => enabled(device.migMode()?.current),
  },
  {
    call: "nvmlDeviceGetMigMode (next)",
    field: "mig.mode.pending",
    read: (device) => enabled(device.migMode()?.pending),
  },
];

const figures: readonly Figure[] = [
  {
    call: "nvmlDeviceGetMemoryInfo_v2 total",
    field: "memory.total",
    read: (device) => mib(device.memory()?.total),
    slack: 1,
  },
  {
    call: "nvmlDeviceGetMemoryInfo_v2 reserved",
    field: "memory.reserved",
    read: (device) => mib(device.memory()?.reserved),
    slack: 1,
  },
  {
    call: "nvmlDeviceGetMemoryInfo_v2 used",
    field: "memory.used",
    read: (device) => mib(device.memory()?.used),
    slack: 600,
  },
  {
    call: "nvmlDeviceGetMemoryInfo_v2 free",
    field: "memory.free",
    read: (device) => mib(device.memory()?.free),
    slack: 600,
  },
  { call: "nvmlDeviceGetTemperature", field: "temperature.gpu", read: (device) => device.temperature(), slack: 3 },
  {
    call: "nvmlDeviceGetMarginTemperature",
    field: "temperature.gpu.tlimit",
    read: (device) => device.marginToSlowdown(),
    slack: 3,
  },
  {
    call: "nvmlDeviceGetPowerUsage",
    field: "power.draw.average",
    read: (device) => watts(device.powerMilliwatts()),
    slack: 80,
  },
  {
    call: "nvmlDeviceGetEnforcedPowerLimit",
    field: "enforced.power.limit",
    read: (device) => watts(device.powerLimitMilliwatts()),
    slack: 0.1,
  },
  {
    call: "nvmlDeviceGetClockInfo graphics",
    field: "clocks.gr",
    read: (device) => device.clocks().graphics,
    slack: 150,
  },
  { call: "nvmlDeviceGetClockInfo sm", field: "clocks.sm", read: (device) => device.clocks().sm, slack: 150 },
  { call: "nvmlDeviceGetClockInfo memory", field: "clocks.mem", read: (device) => device.clocks().memory, slack: 0 },
  {
    call: "nvmlDeviceGetMaxClockInfo graphics",
    field: "clocks.max.gr",
    read: (device) => device.highestClocks().graphics,
    slack: 0,
  },
  {
    call: "nvmlDeviceGetMaxClockInfo sm",
    field: "clocks.max.sm",
    read: (device) => device.highestClocks().sm,
    slack: 0,
  },
  {
    call: "nvmlDeviceGetMaxClockInfo memory",
    field: "clocks.max.mem",
    read: (device) => device.highestClocks().memory,
    slack: 0,
  },
  {
    call: "nvmlDeviceGetTotalEccErrors",
    field: "ecc.errors.uncorrected.volatile.total",
    read: (device) => device.uncorrectedErrors(),
    slack: 0,
  },
];

/**
 * @param smi whether nvidia-smi is there to compare with; without, only that each call answers
 * @returns a row per call, in the order of the lists above
 */
export async function compareNvml(nvml: Nvml, device: Device, smi: boolean): Promise<Compared[]> {
  const rows: Compared[] = [];
  const ask = async (field: string) => (smi ? smiField(device.index, field) : "–");
  const version = await ask("driver_version");
  rows.push(textRow("nvmlSystemGetDriverVersion", nvml.driverVersion(), version));
  rows.push({ call: "nvmlSystemGetNVMLVersion", binding: nvml.nvmlVersion(), smi: "–", ok: nvml.nvmlVersion() !== "" });
  rows.push(textRow("nvmlDeviceGetCount_v2", String(nvml.deviceCount()), await ask("count")));
  const again = nvml.deviceByUuid(device.uuid).index === device.index;
  rows.push({ call: "nvmlDeviceGetHandleByUUID", binding: again ? "the same" : "another", smi: "–", ok: again });
  rows.push({
    call: "nvmlDeviceGetMinorNumber",
    binding: String(device.minorNumber()),
    smi: "–",
    ok: device.minorNumber() !== undefined,
  });
  for (const { call, field, read } of texts) rows.push(textRow(call, read(device) ?? "[N/A]", await ask(field)));
  for (const figure of figures) rows.push(await figureRow(device, figure, ask));
  const limits = device.temperatureLimits();
  rows.push({
    call: "nvmlDeviceGetFieldValues (temperature limits)",
    binding: JSON.stringify(limits),
    smi: "–",
    ok: limits !== undefined,
  });
  const reasons = device.clockReasons();
  rows.push({
    call: "nvmlDeviceGetCurrentClocksEventReasons",
    binding: reasons?.join(" ") ?? "none",
    smi: await ask("clocks_event_reasons.active"),
    ok: reasons !== undefined,
  });
  rows.push(await processRow(device, smi));
  return rows;
}

/** Watching for events begins and ends. What an XID looks like is another step. */
export async function watchEvents(nvml: Nvml, table: Table): Promise<void> {
  const watcher = await nvml.watchEvents({ event: () => {}, lost: () => {}, failed: () => {} });
  const { uuids, unwatched } = watcher;
  const ended = await watcher.stop();
  table.add(
    "NVML events are watched",
    uuids.length > 0 && ended === "ended",
    `${uuids.length} watched, ${JSON.stringify(unwatched)}, ${ended}`,
  );
}

function textRow(call: string, binding: string, smi: string): Compared {
  const same = smi === "–" || smi.toLowerCase() === binding.toLowerCase();
  return { call, binding, smi, ok: binding !== "" && same };
}

async function figureRow(device: Device, figure: Figure, ask: (field: string) => Promise<string>): Promise<Compared> {
  const { call, field, read, slack } = figure;
  const before = read(device);
  const smi = await ask(field);
  const after = read(device);
  const binding = before === after ? String(before) : `${before}…${after}`;
  if (smi === "–") return { call, binding, smi, ok: true };
  const value = Number(smi);
  // nvidia-smi's words for what a card does not offer.
  if (Number.isNaN(value)) return { call, binding, smi, ok: before === undefined || /Unknown|not valid/i.test(smi) };
  const seen = [before, after].filter((one) => one !== undefined);
  const ok = seen.length === 2 && value >= Math.min(...seen) - slack && value <= Math.max(...seen) + slack;
  return { call, binding, smi, ok };
}

async function processRow(device: Device, smi: boolean): Promise<Compared> {
  const list = device.computeProcesses();
  const binding = (list ?? []).map(({ pid, usedBytes }) => `${pid}:${mib(usedBytes) ?? "?"}`).join(" ");
  const call = "nvmlDeviceGetComputeRunningProcesses_v3";
  if (!smi) return { call, binding, smi: "–", ok: list !== undefined };
  const { stdout } = await run("nvidia-smi", ["--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]);
  const lines = stdout.split("\n").filter((line) => line.trim() !== "");
  const ok = list !== undefined && list.length === lines.length;
  return {
    call,
    binding: binding || "none",
    smi: lines.map((line) => line.replace(/,\s*/, ":")).join(" ") || "none",
    ok,
  };
}

/** One field of one GPU; nvidia-smi's complaint where it does not know it. */
async function smiField(index: number, field: string): Promise<string> {
  try {
    const { stdout } = await run("nvidia-smi", [
      `--id=${index}`,
      `--query-gpu=${field}`,
      "--format=csv,noheader,nounits",
    ]);
    return stdout.trim();
  } catch (error) {
    const { stdout, message } = error as Error & { stdout?: string };
    return (stdout || message).trim().split("\n")[0] ?? "";
  }
}
