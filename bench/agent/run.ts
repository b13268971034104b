/**
 * What the node agent costs, and how long the kubelet waits for Allocate: 8 simulated GPUs of 400 units, 64 containers of two
 * processes each whose telemetry changes every second, intervals as by default. Needs `make build` (the NVML simulator).
 * Usage: node bench/agent/run.ts [--seconds 60] [--batches 6] [--write] [--prof FOLDER]
 * `--write` puts the figures into bench/results/agent-<date>.md, `--prof <folder>` leaves a CPU profile there.
 */
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { until } from "../../device-plugin/src/testing/node.ts";
import { Machine } from "./machine.ts";
import { BenchNode, gpus } from "./node.ts";
import { Programs } from "./programs.ts";
import { type Cost, type Figures, report } from "./report.ts";

const containers = 64;
const unitsEach = 40;
/** Calls of a batch: so many that the units beside the 64 containers hold them. */
const callsPerBatch = 64;
const settling = 20_000;
const scrapeEvery = 15_000;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    batches: { type: "string", default: "6" },
    write: { type: "boolean", default: false },
    prof: { type: "string" },
  },
});

const bench = new BenchNode();
const programs = new Programs();
const machine = new Machine();

/** Percent of one processor by thread over so many milliseconds. */
async function costOver(milliseconds: number): Promise<Cost> {
  const before = bench.agent.processor();
  const start = performance.now();
  machine.busy();
  await sleep(milliseconds);
  const elapsed = performance.now() - start;
  const threads = [...bench.agent.processor()].map(([name, now]) => ({
    name,
    percent: (100 * (now - (before.get(name) ?? 0))) / elapsed,
  }));
  return { threads: threads.filter(({ percent }) => percent >= 0.005), machineBusy: machine.busy() };
}

async function fill(): Promise<void> {
  for (let number = 0; number < containers; ++number) await bench.run(`c${number}`, number % gpus, unitsEach);
  await until("all owners are known", () => bench.agent.logged("allocation's owner known") === containers);
  const ids = [...bench.agent.output.matchAll(/"allocation":"([^"]+)"[^\n]*"msg":"allocated"/g)].map(
    ([, id]) => id ?? "",
  );
  programs.start(ids.map((id) => `${bench.node.hostFolder}/allocations/${id}/telemetry`));
}

/** Containers that come, at moments of their own, and go again. @returns milliseconds of each Allocate. */
async function allocateBatch(batch: number): Promise<number[]> {
  const times: number[] = [];
  const released = bench.agent.logged("allocation released");
  const known = bench.agent.logged("allocation's owner known");
  const names = Array.from({ length: callsPerBatch }, (_, call) => `b${batch}-${call}`);
  for (const [call, name] of names.entries()) {
    times.push(await bench.run(name, call % gpus, 1 + ((call * 7) % 10)));
    await sleep(20 + ((call * 37) % 130));
  }
  await until("all owners are known", () => bench.agent.logged("allocation's owner known") === known + callsPerBatch);
  for (const name of names) bench.remove(name);
  await until("all are released", () => bench.agent.logged("allocation released") === released + callsPerBatch);
  return times;
}

async function measure(): Promise<Figures> {
  const milliseconds = Number(values.seconds) * 1000;
  await bench.start(values.prof === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${resolve(values.prof)}`]);
  await until("it has started", () => bench.agent.logged("started") > 0);
  await fill();
  await sleep(settling);
  const idle = await costOver(milliseconds);
  const scraping = setInterval(() => void fetch(`${bench.pages}/metrics`).then((page) => page.text()), scrapeEvery);
  const scraped = await costOver(milliseconds);
  clearInterval(scraping);
  const allocate: number[] = [];
  machine.busy();
  for (let batch = 0; batch < Number(values.batches); ++batch) allocate.push(...(await allocateBatch(batch)));
  const allocateBusy = machine.busy();
  return { seconds: Number(values.seconds), idle, scraped, allocate, allocateBusy, memory: bench.agent.memory() };
}

try {
  const command = `node bench/agent/run.ts ${process.argv.slice(2).join(" ")}`.trim();
  report(await measure(), { command, write: values.write });
} finally {
  programs.stop();
  await bench.stop();
}
