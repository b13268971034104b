/** Whatever becomes of a test, its node leaves the machine as it was: processes, mounts, cgroups, links, files. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { needsOwnCluster, until, whyNoNode } from "@loretoken/test-cluster";

const own = { skip: needsOwnCluster };
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill("SIGKILL");
});

test("this machine can hold a node", own, async () => {
  assert.equal(await whyNoNode(), undefined);
});

test("a node that is stopped leaves nothing", own, async () => {
  const { folder } = await start("stop");
  assert.deepEqual(left(path.basename(folder)), []);
});

test("a node whose test is killed with -9 leaves nothing", own, async () => {
  const { child, folder } = await start();
  const name = path.basename(folder);
  assert.ok(left(name).length > 10, "what is looked for must be there while the node runs");
  const links = Object.keys(networkInterfaces());
  child.kill("SIGKILL");
  await until("nothing is left", () => gone(name), { timeoutMs: 20_000 });
  assert.deepEqual(Object.keys(networkInterfaces()), links);
});

test("when its guard is killed too, no process is left, and the next node removes the rest", own, async () => {
  const { child, folder } = await start();
  const name = path.basename(folder);
  const guards = left(name).filter((what) => what.startsWith("process") && what.includes("guard.sh"));
  assert.ok(guards.length > 0);
  child.kill("SIGKILL");
  for (const guard of guards) kill(Number(guard.split(" ")[1]));
  await until("no process is left", () => left(name).every((what) => !what.startsWith("process")), {
    timeoutMs: 10_000,
  });
  await start("stop");
  assert.deepEqual(left(name), []);
});

async function start(mode = "wait"): Promise<{ child: ChildProcess; folder: string }> {
  mkdirSync("build", { recursive: true });
  const program = path.join(import.meta.dirname, "support/crash.ts");
  const child = spawn(process.execPath, [program, mode], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`the program with the node ended with ${code}`);
  });
  const [folder] = await Promise.race([once(createInterface({ input: child.stdout }), "line"), ended]);
  ended.catch(() => {});
  return { child, folder };
}

function gone(name: string): true {
  const found = left(name);
  if (found.length > 0) throw new Error(`there are still ${found.slice(0, 5).join(", ")}`);
  return true;
}

/** Everything of the machine that bears the node's name. */
function left(name: string): string[] {
  const processes = readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map((pid) => ({ pid, command: read(`/proc/${pid}/cmdline`).replaceAll("\0", " ") }))
    .filter(({ pid, command }) => command.includes(name) || read(`/proc/${pid}/cgroup`).includes(name))
    .map(({ pid, command }) => `process ${pid} ${command}`);
  const mounts = read("/proc/self/mounts").split("\n");
  const cgroups = mounts
    .filter((line) => / cgroup2? /.test(line))
    .map((line) => path.join(line.split(" ")[1] ?? "", name))
    .filter((group) => existsSync(group));
  const folder = path.join(tmpdir(), name);
  return [
    ...processes,
    ...mounts.filter((line) => line.includes(name)).map((line) => `mount ${line}`),
    ...cgroups.map((group) => `cgroup ${group}`),
    ...(existsSync(folder) ? [`folder ${folder}`] : []),
  ];
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended along with the others.
  }
}
