/** The program as the image has it: bundled, on a full node. */
import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { inject, xidLine } from "@loretoken/nvml/testing";
import { pod, TestNode, until } from "./testing/node.ts";
import { type AgentProgram, Bundle } from "./testing/program.ts";

process.env.LORETOKEN_SIM_DEVICES = Array.from({ length: 8 }, () => "270GiB").join();

const mostMebibytes = 110;
/** Of one processor, on a machine that may be busy with other tests: the bench of bench/agent holds the target of 1. */
const mostPercent = 2;
const containers = 64;
const watched = 20_000;

/** Milliseconds of processor time, what the simulator takes for looking a hundred times a second included. */
function processor(agent: AgentProgram): number {
  return [...agent.processor().values()].reduce((sum, milliseconds) => sum + milliseconds, 0);
}

test("the bundle runs with 64 containers on 8 GPUs in 110 MiB and 2 % of a processor, and tells of events", async (t) => {
  const bundle = new Bundle();
  const node = new TestNode();
  await node.kubelet.start();
  // Intervals as users have them; later flags win.
  const flags = node.flags(["--reserve=5GiB", "--guard-seconds=2", "--reconcile-seconds=10", "--recover-seconds=60"]);
  const agent = bundle.start(flags);
  t.after(async () => {
    await agent.end("SIGKILL");
    bundle.remove();
    await node.end();
    await inject();
  });
  await until("the kubelet has all units", () => node.kubelet.lists.at(-1)?.devices.length === 8 * 400);
  for (let number = 0; number < containers; ++number) await node.kubelet.run(pod(`p${number}`, 40));
  await until("all owners are known", () => agent.logged("allocation's owner known") === containers);
  const before = processor(agent);
  await sleep(watched);
  const percent = ((processor(agent) - before) / watched) * 100;
  const { resident, peak } = agent.memory();
  t.diagnostic(`${resident.toFixed(0)} MiB, ${peak.toFixed(0)} at most; ${percent.toFixed(2)} % of a processor`);
  assert.ok(peak <= mostMebibytes, `${peak} MiB`);
  assert.ok(percent <= mostPercent, `${percent} % of a processor`);
  await inject(xidLine(79, 3));
  await until("it told of the XID", () => agent.logged("GPU event") > 0);
  await until(
    "the kubelet knows",
    () => node.kubelet.lists.at(-1)?.devices.some(({ health }) => health === "Unhealthy") ?? false,
  );
  assert.equal(await agent.end(), 0);
});
