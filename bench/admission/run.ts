/**
 * How long an API server waits for the webhook: reviews at a fixed rate, whether or not earlier ones are answered, over kept
 * connections of HTTP/1.1, as API servers call. Reviews wait for a connection when all are in use, and that counts. The operator is
 * bundled, a process of its own; its certificate is replaced every few seconds. All on loopback.
 * Usage: node bench/admission/run.ts [--rate 200] [--seconds 60] [--connections 25] [--write]
 * `--write` puts the figures into bench/results/admission-<date>.md.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { cpus, getPriority, release, tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { configFor, until } from "@loretoken/kube/testing";
import { Authority } from "../../operator/src/certificates/authority.ts";
import { Bundle, type OperatorProgram } from "../../operator/src/testing/program.ts";
import { Machine } from "../agent/machine.ts";
import { quantile } from "../agent/report.ts";
import { review } from "./pod.ts";

const { values } = parseArgs({
  options: {
    rate: { type: "string", default: "200" },
    seconds: { type: "string", default: "60" },
    connections: { type: "string", default: "25" },
    write: { type: "boolean", default: false },
  },
});
const rate = Number(values.rate);
const seconds = Number(values.seconds);
const newCertificateEvery = 5000;
const warmUp = 3;
const root = join(import.meta.dirname, "../..");

interface Figures {
  /** Milliseconds from when it was due to its answer's last byte. */
  readonly times: readonly number[];
  readonly failed: number;
  /** Share that the operator answered within 10 ms by its own watch. */
  readonly within: number;
  /** Milliseconds that a turn of the loop took at most, of the operator and of the load itself. */
  readonly stalls: { readonly operator: number; readonly load: number };
  readonly connections: number;
  readonly certificates: number;
  readonly bytes: number;
  readonly machineBusy: number;
  /** Percent of one processor. */
  readonly processor: number;
  /** MiB. */
  readonly resident: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: Number(values.connections), maxFreeSockets: 1000 });
const sockets = new Set<object>();

/** @returns whether it was answered by a review that allows the pod with a patch */
function ask(port: number, ca: string, body: Buffer): Promise<boolean> {
  const headers = { "content-type": "application/json", "content-length": body.length };
  const options = { host: "127.0.0.1", port, ca, agent, path: "/mutate-pods?timeout=5s", method: "POST", headers };
  return new Promise((resolve) => {
    const asked = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve(/"allowed":true,"patchType"/.test(Buffer.concat(chunks).toString())));
    });
    asked.on("socket", (socket) => sockets.add(socket));
    asked.on("error", () => resolve(false));
    asked.end(body);
  });
}

async function load(port: number, ca: string, duration: number): Promise<{ times: number[]; failed: number }> {
  const times: number[] = [];
  let failed = 0;
  const bodies = Array.from({ length: 50 }, (_, number) => review(number));
  const running: Promise<void>[] = [];
  const start = performance.now();
  for (let number = 0; number < duration * rate; ++number) {
    const due = start + (number * 1000) / rate;
    const early = due - performance.now();
    if (early > 0) await sleep(early);
    const one = ask(port, ca, bodies[number % bodies.length] ?? Buffer.alloc(0)).then((answered) => {
      times.push(performance.now() - Math.max(due, start));
      if (!answered) failed += 1;
    });
    running.push(one);
  }
  await Promise.all(running);
  return { times, failed };
}

function processorOf({ pid }: OperatorProgram): number {
  const [user, system] =
    readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ").slice(11, 13).map(Number) ?? [];
  return ((user ?? 0) + (system ?? 0)) * 10;
}

/** Of the operator's own metrics: reviews in all and within 10 ms; the longest turn of its loop since the page was read last. */
async function counted(operator: OperatorProgram): Promise<{ all: number; within: number; stall: number }> {
  const text = await (await fetch(`http://127.0.0.1:${operator.ports?.pages}/metrics`)).text();
  const bucket = (le: string): number =>
    Number(
      new RegExp(`^loretoken_admission_seconds_bucket\\{le="${le.replace("+", "\\+")}"\\} (\\d+)$`, "m").exec(
        text,
      )?.[1],
    );
  const stall = 1000 * Number(/^nodejs_eventloop_lag_max_seconds (.+)$/m.exec(text)?.[1]);
  return { all: bucket("+Inf"), within: bucket("0.01"), stall };
}

async function measure(): Promise<Figures> {
  const times = { now: Date.now(), life: 3_600_000 };
  const authority = await Authority.create(times);
  const folder = mkdtempSync(join(tmpdir(), "loretoken-admission-"));
  const place = async (): Promise<void> => {
    const { certificate, key } = await authority.issue(["127.0.0.1"], times);
    writeFileSync(join(folder, "tls.key"), key);
    writeFileSync(join(folder, "tls.crt"), certificate);
  };
  await place();
  writeFileSync(join(folder, "kubeconfig"), configFor(1).exportConfig());
  const bundle = new Bundle();
  const flags = [
    "--listen=127.0.0.1:0",
    "--pages=127.0.0.1:0",
    "--certificates=mounted",
    `--certificate-folder=${folder}`,
  ];
  const operator = bundle.start([...flags, "--check-seconds=1"], { KUBECONFIG: join(folder, "kubeconfig") });
  try {
    await until("it serves", () => operator.ports !== undefined, 20_000);
    const port = operator.ports?.webhook ?? 0;
    await load(port, authority.certificate, warmUp);
    const replacing = setInterval(() => void place(), newCertificateEvery);
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const first = await counted(operator);
    const [machine, before, begin] = [new Machine(), processorOf(operator), performance.now()];
    const answered = await load(port, authority.certificate, seconds);
    const elapsed = performance.now() - begin;
    clearInterval(replacing);
    delay.disable();
    const last = await counted(operator);
    const status = readFileSync(`/proc/${operator.pid}/status`, "utf8");
    return {
      ...answered,
      within: (last.within - first.within) / (last.all - first.all),
      stalls: { operator: last.stall, load: delay.max / 1e6 },
      connections: sockets.size,
      certificates: operator.logged("certificate served"),
      bytes: review(0).length,
      machineBusy: machine.busy(),
      processor: (100 * (processorOf(operator) - before)) / elapsed,
      resident: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024,
    };
  } finally {
    agent.destroy();
    await operator.end("SIGKILL");
    bundle.remove();
    rmSync(folder, { recursive: true });
  }
}

function page(figures: Figures): string {
  const { times, failed, within, stalls, connections, certificates, bytes, machineBusy, processor, resident } = figures;
  const commit = execFileSync("git", ["describe", "--always", "--dirty"], { cwd: root, encoding: "utf8" }).trim();
  const [model] = cpus();
  const wall = (part: number): string => `${quantile(times, part).toFixed(2)} ms`;
  return `${[
    "# What the admission webhook takes",
    "",
    `- machine: ${cpus().length} × ${model?.model.trim()}, Linux ${release()}, Node ${process.version}; shared with other work, and with the load itself`,
    `- date: ${new Date().toISOString().slice(0, 16)}Z, commit: ${commit}`,
    `- command: \`node bench/admission/run.ts ${process.argv.slice(2).join(" ")}\`, at nice ${getPriority()}`,
    `- load: ${rate} reviews/s of ${(bytes / 1024).toFixed(1)} KiB over ${seconds} s, sent when due; kept connections of HTTP/1.1 over TLS 1.3, ` +
      `${connections} in all; ${certificates} certificates served`,
    "",
    "| figure | measured | target |",
    "|---|---|---|",
    `| ${times.length} reviews, of which failed | ${failed} | 0 |`,
    `| from due to answered: p50 | ${wall(0.5)} | |`,
    `| p99 | ${wall(0.99)} | ≤ 10 ms |`,
    `| p99.9 | ${wall(0.999)} | |`,
    `| most | ${wall(1)} | |`,
    `| answered within 10 ms of the last byte of the headers, by the operator's own watch | ${(100 * within).toFixed(2)} % | 99 % |`,
    `| processor of the operator | ${processor.toFixed(1)} % of one | |`,
    `| resident memory of the operator at the end | ${resident.toFixed(0)} MiB | |`,
    "",
    `Machine busy with anything: ${machineBusy.toFixed(0)} %. The longest turn of the operator's loop was ${stalls.operator.toFixed(0)} ms, of the`,
    `load's own ${stalls.load.toFixed(0)} ms; a process that waits for a processor, or a machine that stands still, is in both.`,
  ].join("\n")}\n`;
}

const text = page(await measure());
process.stdout.write(text);
if (values.write)
  writeFileSync(join(root, `bench/results/admission-${new Date().toISOString().slice(0, 10)}.md`), text);
