/** The program itself, bundled because it starts sooner so: started, ended, killed. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { readControl } from "@loretoken/telemetry/control";
import { TelemetryBytes } from "@loretoken/telemetry/testing";
import { nodeOf, pod, type TestNode, until } from "./testing/node.ts";

const home = join(import.meta.dirname, "..");
const made = mkdtempSync(join(tmpdir(), "loretoken-agent-"));
const main = join(made, "dist/loretoken-agent.js");

before(() => {
  cpSync(join(home, "package.json"), join(made, "package.json"));
  execFileSync(process.execPath, [join(home, "scripts/bundle.ts"), join(made, "dist")], { stdio: "inherit" });
});
after(() => rmSync(made, { recursive: true, force: true }));

class Program {
  readonly child: ChildProcess;
  output = "";

  constructor(t: TestContext, node: TestNode, more: string[] = []) {
    this.child = spawn(process.execPath, [main, ...node.flags(more)], { stdio: ["ignore", "pipe", "pipe"] });
    const take = (text: Buffer): void => {
      this.output += text;
    };
    this.child.stdout?.on("data", take);
    this.child.stderr?.on("data", take);
    t.after(() => this.child.kill("SIGKILL"));
  }

  get lines(): { msg: string; [field: string]: unknown }[] {
    return this.output.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line)] : []));
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.child.kill(signal);
    const [code] = await once(this.child, "exit");
    return code as number | null;
  }
}

test("SIGTERM unregisters, and leaves containers what they have", async (t) => {
  const node = nodeOf(t);
  await node.kubelet.start();
  const program = new Program(t, node);
  await until("the kubelet has the list", () => node.kubelet.lists.length > 0);
  await until("it has started", () => program.lines.some(({ msg }) => msg === "started"));
  await node.kubelet.run(pod("p", 3));
  const socket = join(node.kubelet.pluginFolder, "loretoken-vram.sock");
  assert.ok(existsSync(socket));
  const ended = Date.now();
  assert.equal(await program.end("SIGTERM"), 0, program.output);
  assert.ok(Date.now() - ended < 10_000);
  assert.ok(!existsSync(socket));
  await until("the kubelet sees it gone", () => !node.kubelet.watching);
  const said = program.lines.map(({ msg }) => msg);
  assert.ok(said.includes("ending") && said.at(-1) === "ended", program.output);
  assert.equal(readdirSync(join(node.hostFolder, "allocations")).length, 1);
});

test("SIGTERM while it starts ends it as well", async (t) => {
  const node = nodeOf(t);
  await node.kubelet.start();
  const program = new Program(t, node);
  await until("the shim is delivered", () => program.lines.some(({ msg }) => msg === "shim delivered"));
  assert.equal(await program.end("SIGTERM"), 0, program.output);
  assert.ok(!existsSync(join(node.kubelet.pluginFolder, "loretoken-vram.sock")));
});

test("killed at any moment, the next one goes on with all that was given", async (t) => {
  const node = nodeOf(t);
  await node.kubelet.start();
  const given: string[] = [];
  for (let round = 0; round < 4; ++round) {
    const program = new Program(t, node);
    await until(
      "the kubelet has the list",
      () => node.kubelet.registrations.length === round + 1 && node.kubelet.watching,
    );
    await until("the list is of this agent", () => node.kubelet.lists.length === round + 1);
    const first = await node.kubelet.run(pod(`p${round}`, 2));
    given.push(first.get("c0")?.envs.LORETOKEN_ALLOCATION ?? "");
    const torn = node.kubelet.allocate(["0-30", "0-31"]).catch(() => undefined);
    await sleep(round * 2);
    assert.equal(await program.end("SIGKILL"), null);
    await torn;
    await until("the kubelet sees it gone", () => !node.kubelet.watching);
  }
  const program = new Program(t, node);
  await until("it has taken them up", () => program.lines.some(({ msg }) => msg === "started"));
  const folders = readdirSync(join(node.hostFolder, "allocations"));
  for (const id of given) {
    assert.ok(folders.includes(id), `${id} is lost`);
    const control = join(node.hostFolder, "allocations", id, "control");
    const beat = readControl(control).heartbeat ?? 0n;
    await until(`${id} shows life`, () => (readControl(control).heartbeat ?? 0n) > beat);
  }
  assert.ok(
    folders.every((name) => !name.startsWith(".")),
    folders.join(),
  );
  await node.kubelet.run(pod("last", 27));
});

test("what a process held is no longer told once it is dead, though nobody wiped its row", {
  timeout: 60_000,
}, async (t) => {
  const node = nodeOf(t);
  await node.kubelet.start();
  const program = new Program(t, node);
  await until("it has started", () => program.lines.some(({ msg }) => msg === "started"));
  await until("the kubelet has the list", () => node.kubelet.watching && node.kubelet.lists.length > 0);
  await node.kubelet.run(pod("p", 3));
  await until("the owner is known", () => program.lines.some(({ msg }) => msg === "allocation's owner known"));
  const stat = readFileSync("/proc/self/stat", "utf8");
  const start = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  const [living, dead] = [
    { pid: process.pid, start_time: start },
    { pid: 4_000_000, start_time: 1 },
  ];
  const file = new TelemetryBytes().process(0, living).process(1, dead);
  file.row(0, { ...living, raw_bytes: 5 }).row(1, { ...dead, raw_bytes: 7, packs: 3 });
  const allocations = join(node.hostFolder, "allocations");
  writeFileSync(join(allocations, readdirSync(allocations)[0] ?? "", "telemetry"), file.data);
  const { port } = program.lines.find(({ msg }) => msg === "started") ?? assert.fail();
  let page = "";
  const figure = (name: string): string | undefined =>
    new RegExp(`^loretoken_container_${name}\\{.*\\} (\\d+)$`, "m").exec(page)?.[1];
  while (figure("raw_bytes") !== "5") {
    await sleep(200);
    page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  }
  assert.deepEqual([figure("processes"), figure("packs_total")], ["1", "3"], "what it did is kept");
});

test("logs are lines of JSON with a message that does not vary", async (t) => {
  const node = nodeOf(t);
  await node.kubelet.start();
  const program = new Program(t, node);
  await until("it is registered", () => program.lines.some(({ msg }) => msg === "registered with the kubelet"));
  await node.kubelet.run(pod("p", 3));
  await until("the owner is known", () => program.lines.some(({ msg }) => msg === "allocation's owner known"));
  const known = program.lines.find(({ msg }) => msg === "allocation's owner known");
  assert.deepEqual(known?.owner, { namespace: "default", pod: "p", podUid: "", container: "c0" });
  assert.ok(
    program.lines.every(({ level, time, msg }) => typeof level === "number" && time !== undefined && msg !== ""),
  );
});

test("wrong settings end it with 2 and all that is wrong; help and version are told", () => {
  const run = (...words: string[]) => spawnSync(process.execPath, [main, ...words], { encoding: "utf8" });
  const wrong = run("--expansion", "9", "--mode", "fast");
  assert.equal(wrong.status, 2);
  assert.equal(
    wrong.stderr,
    "loretoken-agent: --expansion: 9 is not allowed; allowed: a number from 1 to 8\n" +
      'loretoken-agent: --mode: "fast" is not allowed; allowed: full, hold, off\n',
  );
  assert.match(run("--help").stdout, /^Usage: loretoken-agent \[--config FILE\]/);
  assert.match(run("--version").stdout, /^loretoken-agent \d+\.\d+\.\d+\n$/);
});

test("a host's folder that cannot be used ends it with the reason", (t) => {
  const node = nodeOf(t);
  const words = [main, ...node.flags(), "--host-folder", "/dev/null/host"];
  const { status, stdout } = spawnSync(process.execPath, words, { encoding: "utf8" });
  assert.equal(status, 1);
  assert.match(
    stdout,
    /"error":"reading the allocations in \/dev\/null\/host\/allocations failed: ENOTDIR.*"msg":"start failed"/,
  );
});
