/** The figures as a table, on the screen and as a file of bench/results. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, getPriority, release } from "node:os";
import { join } from "node:path";

export interface Cost {
  /** Percent of one processor. */
  readonly threads: readonly { readonly name: string; readonly percent: number }[];
  /** Percent of all processors of the machine that were busy with anything. */
  readonly machineBusy: number;
}

export interface Figures {
  readonly seconds: number;
  readonly idle: Cost;
  readonly scraped: Cost;
  /** Milliseconds of each call. */
  readonly allocate: readonly number[];
  readonly allocateBusy: number;
  /** MiB at the end, and the most before. */
  readonly memory: { readonly resident: number; readonly peak: number };
}

const root = join(import.meta.dirname, "../..");

export function report(figures: Figures, { command, write }: { command: string; write: boolean }): void {
  const text = page(figures, command);
  process.stdout.write(text);
  if (!write) return;
  const day = new Date().toISOString().slice(0, 10);
  const path = join(root, `bench/results/agent-${day}.md`);
  writeFileSync(path, text);
  process.stdout.write(`written to ${path}\n`);
}

/** Of sorted figures the least that so great a part of them does not exceed. */
export function quantile(figures: readonly number[], part: number): number {
  return [...figures].sort((a, b) => a - b)[Math.ceil(figures.length * part) - 1] ?? Number.NaN;
}

function page(figures: Figures, command: string): string {
  const { seconds, idle, scraped, allocate, allocateBusy, memory } = figures;
  const commit = execFileSync("git", ["describe", "--always", "--dirty"], { cwd: root, encoding: "utf8" }).trim();
  const [processor] = cpus();
  const wall = (part: number): string => `${quantile(allocate, part).toFixed(2)} ms`;
  return `${[
    "# The node agent's cost",
    "",
    `- machine: ${cpus().length} × ${processor?.model.trim()}, Linux ${release()}, Node ${process.version}; no GPU: NVML is the simulator`,
    `- date: ${new Date().toISOString().slice(0, 16)}Z, commit: ${commit}`,
    `- command: \`${command}\`, at nice ${getPriority()}`,
    "- load: 8 GPUs × 400 units, 64 containers of two processes whose telemetry changes each second, an API server;",
    "  the agent bundled, flags of its image, intervals by default; kubelet, API server and programs in another process",
    "",
    "| figure | measured | target |",
    "|---|---|---|",
    `| processor, nothing asked, over ${seconds} s | ${agentPercent(idle)} % of one | ≤ 1 % |`,
    `| processor, /metrics every 15 s, over ${seconds} s | ${agentPercent(scraped)} % of one | |`,
    `| resident memory at the end / at most | ${memory.resident.toFixed(0)} / ${memory.peak.toFixed(0)} MiB | ≤ 110 MiB |`,
    `| Allocate, ${allocate.length} calls, wall time at the kubelet: p50 | ${wall(0.5)} | |`,
    `| p99 | ${wall(0.99)} | ≤ 10 ms |`,
    `| most | ${wall(1)} | |`,
    "",
    `Machine busy with anything: ${idle.machineBusy.toFixed(0)} % idle phase, ${scraped.machineBusy.toFixed(0)} % with scrapes, ` +
      `${allocateBusy.toFixed(0)} % during Allocate.`,
    "",
    "Threads of the agent, percent of one processor with nothing asked. The pool's threads (libuv-worker) wait for NVML's events in",
    "turn, and are counted above, though most of what they take is the simulator's, which looks for events every 10 ms.",
    "",
    "| thread | percent |",
    "|---|---|",
    ...idle.threads.map(({ name, percent }) => `| ${name.replace(/ \d+$/, "")} | ${percent.toFixed(2)} |`),
  ].join("\n")}\n`;
}

function agentPercent({ threads }: Cost): string {
  return threads.reduce((sum, { percent }) => sum + percent, 0).toFixed(2);
}
