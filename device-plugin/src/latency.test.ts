/**
 * Allocate on a full-sized node: 8 GPUs of 400 units, with containers that come and go, the agent a process of its own as its image
 * has it. Judged is the 99th percentile: of the time that passes at the kubelet, if nothing else keeps the machine busy; else of
 * the processor time of the agent, whatever it does beside. The test tells which. Of several batches the best counts: what
 * disturbs one from outside does not disturb all, what is slow in the agent does.
 */
import assert from "node:assert/strict";
import { cpus } from "node:os";
import test from "node:test";
import "@loretoken/nvml/testing";
import { nodeOf, pod, type TestNode, until } from "./testing/node.ts";
import { type AgentProgram, Bundle } from "./testing/program.ts";

process.env.LORETOKEN_SIM_DEVICES = Array.from({ length: 8 }, () => "270GiB").join();

const mostMilliseconds = 10;
/** Share of the machine's processors that others may use in a batch of which wall time is judged. */
const quiet = 0.1;
const batches = 4;
const calls = 100;
const mostUnits = 30;

interface Times {
  /** Milliseconds of each call, in order. */
  readonly wall: number[];
  readonly processor: number[];
  /** Share of the machine that others used. */
  readonly others: number;
}

/** Milliseconds of all processors together: what they did, and what there was. */
function machine(): { busy: number; all: number } {
  const times = cpus().map(({ times: { user, nice, sys, irq, idle } }) => ({ busy: user + nice + sys + irq, idle }));
  const busy = times.reduce((sum, time) => sum + time.busy, 0);
  return { busy, all: busy + times.reduce((sum, { idle }) => sum + idle, 0) };
}

function processorOf(agent: AgentProgram): number {
  return [...agent.processor().values()].reduce((sum, thread) => sum + thread, 0);
}

function ownProcessor(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function share(times: readonly number[], part: number): number {
  return times[Math.ceil(times.length * part) - 1] ?? Number.NaN;
}

/** A node is filled, container by container, and emptied. */
async function batch(node: TestNode, agent: AgentProgram, number: number): Promise<Times> {
  const [wall, processor]: [number[], number[]] = [[], []];
  const before = { ...machine(), ours: processorOf(agent) + ownProcessor() };
  for (let call = 0; call < calls; ++call) {
    const spec = pod(`p${number}-${call}`, 1 + (call % mostUnits));
    const taken = new Set(node.kubelet.manager.list().flatMap(({ ids }) => ids));
    const free = [...node.kubelet.manager.devices.keys()].filter(
      (id) => id.startsWith(`${call % 8}-`) && !taken.has(id),
    );
    await node.kubelet.manager.admit(spec, {
      preferred: async () => free,
      allocate: async (ids) => {
        const start = { wall: performance.now(), processor: processorOf(agent) };
        const edits = await node.kubelet.allocate(ids);
        wall.push(performance.now() - start.wall);
        processor.push(processorOf(agent) - start.processor);
        return edits;
      },
    });
  }
  const after = machine();
  const ours = processorOf(agent) + ownProcessor() - before.ours;
  const others = Math.max(0, (after.busy - before.busy - ours) / (after.all - before.all));
  for (let call = 0; call < calls; ++call) node.kubelet.manager.remove(pod(`p${number}-${call}`));
  await until("all are released", () => agent.logged("allocation released") === (number + 1) * calls);
  const sorted = (times: number[]): number[] => times.sort((a, b) => a - b);
  return { wall: sorted(wall), processor: sorted(processor), others };
}

test("99 of 100 Allocates take at most 10 ms with 8 GPUs × 400 units", async (t) => {
  const node = nodeOf(t);
  const bundle = new Bundle();
  await node.kubelet.start();
  const intervals = ["--guard-seconds=2", "--reconcile-seconds=0.5", "--orphan-seconds=1"];
  const agent = bundle.start(node.flags(["--reserve=5GiB", ...intervals]));
  t.after(async () => {
    await agent.end("SIGKILL");
    bundle.remove();
  });
  await until("all units are there", () => node.kubelet.lists.at(-1)?.devices.length === 8 * 400);
  const done: Times[] = [];
  for (let number = 0; number < batches; ++number) {
    const times = await batch(node, agent, number);
    done.push(times);
    for (const what of ["wall", "processor"] as const) {
      const [half, most] = [share(times[what], 0.5).toFixed(2), share(times[what], 0.99).toFixed(2)];
      t.diagnostic(`${what}: p50 ${half} ms, p99 ${most} ms`);
    }
  }
  const undisturbed = done.filter(({ others }) => others <= quiet);
  const judged = undisturbed.length > 0 ? "wall" : "processor";
  const best = Math.min(...(undisturbed.length > 0 ? undisturbed : done).map((times) => share(times[judged], 0.99)));
  const others = done.map((times) => `${(100 * times.others).toFixed(0)} %`).join(", ");
  t.diagnostic(`judged by ${judged} time: others used ${others} of the machine`);
  assert.ok(best <= mostMilliseconds, `p99 of ${judged} time is ${best} ms at best`);
});
