/**
 * Allocate on a full-sized node: 8 GPUs of 400 units. Both sides of the call are in this process, and the machine may be busy: so the
 * median of the processor time is judged, and the other figures are told.
 */
import assert from "node:assert/strict";
import test from "node:test";
import "@loretoken/nvml/testing";
import type { Agent } from "./agent.ts";
import { nodeOf, pod, type TestNode, until } from "./testing/node.ts";

process.env.LORETOKEN_SIM_DEVICES = Array.from({ length: 8 }, () => "270GiB").join();

const mostMilliseconds = 10;
const batches = 4;
const calls = 100;
const mostUnits = 30;

interface Times {
  /** Milliseconds of each call, in order. */
  readonly wall: number[];
  readonly processor: number[];
}

function processorMilliseconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function share(times: readonly number[], part: number): number {
  return times[Math.ceil(times.length * part) - 1] ?? Number.NaN;
}

/** A node is filled, container by container, and emptied. */
async function batch(node: TestNode, agent: Agent, number: number): Promise<Times> {
  const [wall, processor]: number[][] = [[], []];
  for (let call = 0; call < calls; ++call) {
    const spec = pod(`p${number}-${call}`, 1 + (call % mostUnits));
    const taken = new Set(node.kubelet.manager.list().flatMap(({ ids }) => ids));
    const free = [...node.kubelet.manager.devices.keys()].filter(
      (id) => id.startsWith(`${call % 8}-`) && !taken.has(id),
    );
    await node.kubelet.manager.admit(spec, {
      preferred: async () => free,
      allocate: async (ids) => {
        const start = { wall: performance.now(), processor: processorMilliseconds() };
        const edits = await node.kubelet.allocate(ids);
        wall?.push(performance.now() - start.wall);
        processor?.push(processorMilliseconds() - start.processor);
        return edits;
      },
    });
  }
  for (let call = 0; call < calls; ++call) node.kubelet.manager.remove(pod(`p${number}-${call}`));
  await until("all are released", () => agent.holdings().length === 0);
  const sorted = (times: number[] = []): number[] => times.sort((a, b) => a - b);
  return { wall: sorted(wall), processor: sorted(processor) };
}

test("the median Allocate takes at most 10 ms of processor time with 8 GPUs × 400 units", async (t) => {
  const node = nodeOf(t);
  const { agent } = await node.started([
    "--reserve",
    "5GiB",
    "--guard-seconds",
    "2",
    "--reconcile-seconds",
    "0.5",
    "--orphan-seconds",
    "1",
  ]);
  await until("all units are there", () => node.kubelet.lists.at(-1)?.devices.length === 8 * 400);
  const done: Times[] = [];
  for (let number = 0; number < batches; ++number) {
    const times = await batch(node, agent, number);
    done.push(times);
    for (const [what, list] of Object.entries(times)) {
      const [half, most] = [share(list, 0.5).toFixed(2), share(list, 0.99).toFixed(2)];
      t.diagnostic(`${what}: p50 ${half} ms, p99 ${most} ms`);
    }
  }
  const best = Math.min(...done.map(({ processor }) => share(processor, 0.5)));
  assert.ok(best <= mostMilliseconds, `median is ${best} ms`);
});
