/** The program as the image has it: bundled, on a full node. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { inject, xidLine } from "@loretoken/nvml/testing";
import { pod, TestNode, until } from "./testing/node.ts";

process.env.LORETOKEN_SIM_DEVICES = Array.from({ length: 8 }, () => "270GiB").join();

const home = join(import.meta.dirname, "..");
const { start } = (JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as { scripts: { start: string } })
  .scripts;
const mostMebibytes = 110;
const containers = 64;
const watched = 10_000;

/** MiB, and milliseconds of processor time. */
function use(pid: number): { memory: number; processor: number } {
  const memory = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { memory, processor: (Number(fields[11]) + Number(fields[12])) * 10 };
}

test("the bundle runs with 64 containers on 8 GPUs in 110 MiB, and its thread tells of events", async (t) => {
  execFileSync(process.execPath, [join(home, "scripts/bundle.ts")], { stdio: "inherit" });
  const node = new TestNode();
  await node.kubelet.start();
  // Intervals as users have them; later flags win.
  const flags = node.flags(["--reserve=5GiB", "--guard-seconds=2", "--reconcile-seconds=10", "--recover-seconds=60"]);
  const [, ...words] = start.split(" ");
  const agent = spawn(process.execPath, [...words, ...flags], { cwd: home, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  agent.stdout.on("data", (text) => {
    output += text;
  });
  t.after(async () => {
    agent.kill("SIGKILL");
    await node.end();
    await inject();
  });
  await until("the kubelet has all units", () => node.kubelet.lists.at(-1)?.devices.length === 8 * 400);
  for (let number = 0; number < containers; ++number) await node.kubelet.run(pod(`p${number}`, 40));
  const before = use(agent.pid ?? 0);
  await sleep(watched);
  const after = use(agent.pid ?? 0);
  const percent = ((after.processor - before.processor) / watched) * 100;
  t.diagnostic(`${after.memory.toFixed(0)} MiB, ${percent.toFixed(2)} % of a processor`);
  assert.ok(after.memory <= mostMebibytes, `${after.memory} MiB`);
  await inject(xidLine(79, 3));
  await until("the thread told of the XID", () => output.includes('"msg":"GPU event"'));
  await until(
    "the kubelet knows",
    () => node.kubelet.lists.at(-1)?.devices.some(({ health }) => health === "Unhealthy") ?? false,
  );
  agent.kill("SIGTERM");
  assert.deepEqual(await once(agent, "exit"), [0, null]);
});
