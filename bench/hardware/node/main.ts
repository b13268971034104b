/**
 * A node with this machine's GPU: the agent as a user's, two pods that share the card, what is told of them meanwhile, NVML
 * against the real library, the penalty guardrail. Started by node.sh inside the node's namespaces.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { arch, cpus, release } from "node:os";
import path from "node:path";
import { CoreV1Api, CustomObjectsApi } from "@kubernetes/client-node";
import { type Device, type Nvml, openNvml } from "@loretoken/nvml";
import { NODE_NAME, until } from "@loretoken/test-cluster";
import { Agent } from "./agent.ts";
import { Cluster, deviceNodes, gpuSpecification, namespace } from "./cluster.ts";
import { agent as agentTar, host as hostTar } from "./images.ts";
import { compareNvml, watchEvents } from "./nvml.ts";
import { plainRun, programs } from "./programs.ts";
import { driverVariables, readSettings } from "./settings.ts";
import { penalty, type Stage, sharing } from "./stages.ts";
import { Table } from "./table.ts";
import { xid } from "./xid.ts";

const settings = readSettings(process.env);
const table = new Table();
const logs = path.join(settings.out, "logs");
mkdirSync(logs, { recursive: true });
const results: Record<string, unknown> = {};

Object.assign(process.env, driverVariables(settings));
const library = path.join(settings.driver, "libnvidia-ml.so.1");
const opened = openNvml({ library });
if (opened.state !== "ready") throw new Error(opened.sentence);
const { nvml } = opened;
const [device] = nvml.devices().devices;
if (device === undefined) throw new Error("NVML finds no GPU");

const cluster = new Cluster(settings.root, settings.bin, logs, {
  gpu: gpuSpecification(
    execFileSync(path.join(settings.bin, "ctr"), ["oci", "spec"], { encoding: "utf8" }),
    deviceNodes().map((at) => [at, ...numbersOf(at)] as const),
    settings.driver,
    path.join(settings.root, "gpu-spec.json"),
  ),
});
results.machine = facts(nvml, device);
let agent: Agent | undefined;
try {
  if (await table.step("the node", bringUp)) await all();
} finally {
  await conclude();
}

async function all(): Promise<void> {
  const all = programs(settings);
  const plain: Record<string, string> = {};
  const alone = await table.step("plain runs", async () => {
    const names = ["over", "train", ...(settings.simulated ? ["squeezed"] : [])] as (keyof typeof all)[];
    await Promise.all(
      names.map(async (name) => {
        const output = await plainRun(all[name], settings, path.join(logs, `plain-${name}.log`));
        plain[name] = all[name].proof(output) ?? "";
        table.add(`${name} alone, without LoreToken`, plain[name] !== "", `${plain[name]}`.slice(0, 60));
      }),
    );
    plain.squeezed ??= plain.train ?? "";
  });
  if (settings.steps.has("nvml")) await table.step("NVML, the card idle", () => nvmlStep("idle"));
  if (!alone || !(await table.step("the agent", deploy)) || agent === undefined) return;
  const stage: Stage = {
    cluster,
    agent,
    device: device as Device,
    settings,
    table,
    programs: all,
    plain,
    logs,
    results,
  };
  if (settings.steps.has("share")) {
    await table.step("two pods share the card", () =>
      sharing(stage, settings.steps.has("nvml") ? () => nvmlStep("busy") : undefined),
    );
  }
  if (settings.steps.has("penalty")) await table.step("the penalty guardrail", () => penalty(stage));
  if (settings.steps.has("xid")) await table.step("a program that faults", () => xid(stage, nvml));
}

async function bringUp(): Promise<void> {
  const begin = Date.now();
  const images = [await agentTar(settings), await hostTar(settings)];
  table.say(`images after ${Date.now() - begin} ms`);
  try {
    await cluster.start(images);
  } catch (error) {
    console.log(cluster.report());
    throw error;
  }
  table.add("kubelet, containerd, API server are up", true, `${((Date.now() - begin) / 1000).toFixed(1)} s`);
}

async function deploy(): Promise<void> {
  const begin = Date.now();
  agent = new Agent(cluster.config(), settings);
  // The guardrail is shown by a step of its own; here it shall not step in.
  await agent.deploy({ "max-penalty-percent": "100", ...(settings.simulated && { "context-size": "0MiB" }) });
  const units = await agent.offered();
  table.add(
    "the agent registers, not privileged, no capability, root read-only",
    true,
    `${units} units of 1 GiB offered after ${((Date.now() - begin) / 1000).toFixed(1)} s`,
  );
}

async function nvmlStep(when: string): Promise<void> {
  const smi = !settings.simulated;
  const rows = await compareNvml(nvml, device as Device, smi);
  results[`nvml-${when}`] = rows;
  for (const { call, binding, smi, ok } of rows)
    table.say(`  ${ok ? "ok    " : "DIFFER"} ${call}: ${binding} | ${smi}`);
  const wrong = rows.filter(({ ok }) => !ok).map(({ call }) => call);
  const seen =
    wrong.length === 0
      ? `${rows.length} figures, all ${smi ? "as nvidia-smi says" : "there"}`
      : `differ: ${wrong.join(", ")}`;
  table.add(`NVML binding, the card ${when}`, wrong.length === 0, seen);
  if (when === "idle") await watchEvents(nvml, table);
}

async function conclude(): Promise<void> {
  const keep = (name: string, text: string) => writeFileSync(path.join(logs, name), text);
  try {
    if (agent !== undefined) {
      const used = agent.usage();
      results.agent = used;
      if (used !== undefined) {
        const text = `${Math.round(used.residentKiB / 1024)} MiB resident, ${Math.round(used.peakKiB / 1024)} at most, ${used.cpuSeconds} s CPU`;
        table.add("the agent's own use", used.peakKiB < 110 * 1024, text);
      }
      await until("files of pods that ended are gone", () => agent?.kept().length === 0, { timeoutMs: 20_000 }).then(
        () => table.add("files and series of pods that ended are gone", true, "no allocation left"),
        (error: Error) => table.add("files and series of pods that ended are gone", false, error.message),
      );
      const page = await agent.page("/metrics");
      keep("metrics-last.txt", page);
      const left = page.split("\n").filter((line) => line.startsWith("loretoken_container_")).length;
      if (left > 0) table.add("series of pods that ended are gone", false, `${left} are left`);
      keep("agent.log", await agent.logs());
      const api = cluster.config().makeApiClient(CoreV1Api);
      const events = (await api.listEventForAllNamespaces()).items.map(
        ({ involvedObject, reason, message, count, source }) => ({
          on: `${involvedObject.kind}/${involvedObject.name}`,
          reason,
          count,
          from: source?.component,
          message,
        }),
      );
      keep("events.json", JSON.stringify(events, undefined, 1));
      const name = { group: "loretoken.dev", version: "v1alpha1", plural: "gpunodes", name: NODE_NAME };
      const node = await cluster.config().makeApiClient(CustomObjectsApi).getClusterCustomObject(name);
      keep("gpunode.json", JSON.stringify(node, undefined, 1));
    }
  } catch (error) {
    table.add("what is told at the end", false, (error as Error).message);
  } finally {
    results.table = table.lines;
    writeFileSync(path.join(settings.out, "results.json"), `${JSON.stringify(results, undefined, 1)}\n`);
    writeFileSync(path.join(settings.out, "table.txt"), table.text);
    nvml.close();
    console.log(`\n${table.text}`);
    process.exit(table.failed === 0 ? 0 : 1);
  }
}

/** Major and minor of a device node. */
function numbersOf(file: string): [number, number] {
  const { rdev } = statSync(file);
  return [((rdev >> 8) & 0xfff) | ((rdev / 2 ** 32) & ~0xfff), (rdev & 0xff) | ((rdev >> 12) & 0xfff00)];
}

function facts(nvml: Nvml, device: Device): Record<string, unknown> {
  const version = (program: string, ...args: string[]) => {
    try {
      return execFileSync(path.join(settings.bin, program), args, { encoding: "utf8" }).split("\n")[0];
    } catch (error) {
      return (error as Error).message.split("\n")[0];
    }
  };
  return {
    card: device.name,
    physical: device.memory()?.total,
    driver: nvml.driverVersion(),
    nvml: nvml.nvmlVersion(),
    devices: deviceNodes(),
    cores: cpus().length,
    kernel: release(),
    arch: arch(),
    cgroup: / \/sys\/fs\/cgroup cgroup2 /.test(readFileSync("/proc/self/mounts", "utf8")) ? "v2" : "v1",
    kubelet: version("kubelet", "--version"),
    containerd: version("containerd", "--version"),
    runc: version("runc", "--version"),
    node: process.version,
    simulated: settings.simulated,
    commit: settings.commit,
    date: new Date().toISOString(),
    namespace,
  };
}
