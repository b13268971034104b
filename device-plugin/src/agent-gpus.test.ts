/** The agent and its GPUs: illness, guardrails, what programs and strangers do. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, statSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { inject, simulatedDriver, xidLine } from "@loretoken/nvml/testing";
import { telemetry } from "@loretoken/telemetry";
import { readControl } from "@loretoken/telemetry/control";
import type { Verdict } from "./control/block.ts";
import type { Observer } from "./observer.ts";
import { nodeOf, pod, type TestNode, until } from "./testing/node.ts";

function sick(node: TestNode): string[] {
  const list = node.kubelet.lists.at(-1)?.devices ?? [];
  return [...new Set(list.filter(({ health }) => health === "Unhealthy").map(({ ID }) => ID.split("-")[0] ?? ""))];
}

test("a GPU that falls ill is unhealthy at once, packs nothing new, gives nothing; and recovers", async (t) => {
  const node = nodeOf(t);
  const seen: string[] = [];
  const observer: Observer = {
    xid: ({ xid, fault }) => void seen.push(`xid ${xid} ${fault}`),
    healthChanged: ({ health }) => void seen.push(health.state),
    verdictChanged: ({ after }) => void seen.push(`verdict ${after?.mode ?? "none"}`),
  };
  const { agent } = await node.started([], { observers: [observer] });
  await node.kubelet.run(pod("p", 7));
  const control = agent.holdings()[0]?.control ?? "";
  await inject(xidLine(79, 0));
  await until("the kubelet knows", () => sick(node).join() === "0");
  assert.deepEqual(readControl(control).devices[0]?.verdict, { mode: "hold", guard: "device", figure: 79, limit: 0 });
  await assert.rejects(node.kubelet.allocate(["0-20"]), /GPU 0 \(GPU-.*\) is unhealthy: XID 79/);
  assert.equal(agent.gpuStates()[0]?.health.state, "unhealthy");
  assert.equal(agent.holdings().length, 1, "who runs stays");
  await until("it is well again", () => sick(node).length === 0);
  await until("the verdict is lifted", () => readControl(control).devices[0]?.verdict === undefined);
  assert.deepEqual(seen, ["xid 79 true", "verdict hold", "unhealthy", "verdict none", "healthy"]);
});

test("a GPU that is ill stays ill over a restart of the agent, is told of once, and recovers", async (t) => {
  const node = nodeOf(t);
  const seen: string[] = [];
  const observer: Observer = { healthChanged: ({ health }) => void seen.push(health.state) };
  const { agent } = await node.started(["--recover-seconds", "60"], { observers: [observer] });
  await inject(xidLine(79, 0));
  await until("the kubelet knows", () => sick(node).join() === "0");
  await until("it is kept", () => existsSync(join(node.hostFolder, "health.json")));
  await agent.stop();
  await until("the kubelet sees it gone", () => !node.kubelet.watching);
  const before = node.kubelet.lists.length;
  const next = node.agent(["--recover-seconds", "60"], { observers: [observer] });
  await next.start();
  await until("the kubelet has the next agent's list", () => node.kubelet.lists.length > before);
  assert.deepEqual(
    node.kubelet.lists[before]?.devices.filter(({ ID, health }) => ID.startsWith("0-") && health === "Healthy"),
    [],
  );
  await assert.rejects(node.kubelet.allocate(["0-20"]), /GPU 0 \(GPU-.*\) is unhealthy: XID 79/);
  assert.deepEqual(seen, ["unhealthy"], "it was told already");
  await next.stop();
  const later = node.agent([], { observers: [observer], now: () => Date.now() + 61_000 });
  await later.start();
  await until("it is well again", () => sick(node).length === 0 && node.kubelet.watching);
  await until("that is told", () => seen.length === 2);
  assert.deepEqual(seen, ["unhealthy", "healthy"]);
});

test("XIDs that programs cause are told and change nothing, however many", async (t) => {
  const node = nodeOf(t);
  const told: number[] = [];
  await node.started([], { observers: [{ xid: ({ xid, fault }) => void (fault || told.push(xid)) }] });
  await inject(...Array.from({ length: 200 }, (_, index) => xidLine(index % 2 === 0 ? 31 : 13, 0)));
  await until("all are told", () => told.length === 200);
  assert.deepEqual(sick(node), []);
  assert.equal(node.kubelet.lists.length, 1);
});

test("a list of one's own says which XIDs are no faults", async (t) => {
  const node = nodeOf(t);
  await node.started(["--ignored-xids", "79"]);
  await inject(xidLine(31, 0));
  await until("31 is a fault now", () => sick(node).join() === "0");
});

test("memory errors that cannot be corrected make ill", async (t) => {
  const node = nodeOf(t);
  await inject("ecc_errors=3");
  await node.started();
  await sleep(300);
  assert.deepEqual(sick(node), [], "those of before say nothing");
  await inject("ecc_errors=4");
  await until("it is ill", () => sick(node).length > 0);
});

test("heat and power lessen packing step by step, and calm leads back", async (t) => {
  const node = nodeOf(t);
  const changes: (Verdict | undefined)[] = [];
  const { agent } = await node.started(
    ["--max-temperature", "85", "--max-power-percent", "90", "--escalate-seconds", "1", "--release-seconds", "1"],
    { observers: [{ verdictChanged: ({ after }) => void changes.push(after) }] },
  );
  await node.kubelet.run(pod("p", 7));
  const device = () => readControl(agent.holdings()[0]?.control ?? "").devices[0];
  assert.deepEqual(
    [readControl(agent.holdings()[0]?.control ?? "").maxPowerPermille, device()?.verdict],
    [900, undefined],
  );
  await inject("temperature=91");
  await until("packing is halved", () => device()?.backoff === 1);
  assert.deepEqual(device()?.verdict, { mode: "full", guard: "thermal", figure: 91_000, limit: 85_000 });
  await until("nothing new is packed", () => device()?.verdict?.mode === "hold");
  await until("it is plain CUDA", () => device()?.verdict?.mode === "off");
  await inject("temperature=60", "power_watts=690");
  await until(
    "power is what decides",
    () => device()?.verdict?.guard === "power" || device()?.verdict?.mode === "hold",
  );
  await inject();
  await until("all is well", () => device()?.verdict === undefined && device()?.backoff === 0);
  assert.equal(changes.at(-1), undefined);
});

test("a program that lets its telemetry grow or shrink finds it put right", async (t) => {
  const node = nodeOf(t);
  const told: number[] = [];
  const { agent } = await node.started([], { observers: [{ telemetryResized: ({ bytes }) => void told.push(bytes) }] });
  await node.kubelet.run(pod("p", 1));
  const path = agent.holdings()[0]?.telemetry ?? "";
  appendFileSync(path, Buffer.alloc(3_000_000));
  await until("it has its size", () => statSync(path).size === telemetry.size);
  assert.deepEqual(told, [telemetry.size + 3_000_000]);
});

test("memory of a process outside all containers is not offered while it is used", async (t) => {
  const node = nodeOf(t);
  await node.started();
  const bytes = 600 * 2 ** 20;
  const script = join(import.meta.dirname, "../../lib/nvml/src/testing/holder.ts");
  const stranger = spawn(process.execPath, [script, simulatedDriver, String(bytes)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const offered = (): number => node.kubelet.lists.at(-1)?.devices.filter(({ ID }) => ID.startsWith("1-")).length ?? -1;
  try {
    await once(stranger.stdout, "data");
    await until("GPU 1, of 1 GiB, offers nothing", () => offered() === 0);
  } finally {
    stranger.stdin.end();
    await once(stranger, "exit");
  }
  await until("it offers its unit again", () => offered() === 1);
});
