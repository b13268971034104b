/** Pieces of the cluster that need neither root nor programs. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { Component } from "./component.ts";
import { Portals, portalProgram } from "./portal.ts";
import { freePorts } from "./ports.ts";
import { newName, sweep } from "./scratch.ts";
import { machine } from "./space.ts";
import { until } from "./until.ts";

const work = mkdtempSync(path.join(tmpdir(), "loretoken-pieces-"));
after(() => rmSync(work, { recursive: true, force: true }));
const component = (name: string, script: string) =>
  new Component(
    name,
    path.join(work, `${name}.log`),
    () => machine,
    () => ({ argv: ["sh", "-c", script] }),
  );

test("a wait ends with what it waited for and what it saw last", async () => {
  const probe = () => {
    throw new Error("not yet");
  };
  await assert.rejects(
    until("the sea", probe, { timeoutMs: 30, everyMs: 10 }),
    /gave up after 0.03 s on: the sea: not yet/,
  );
  let tries = 0;
  assert.equal(await until("three", () => (++tries === 3 ? "three" : undefined), { everyMs: 1 }), "three");
});

test("a probe that never answers does not outlast the wait", async () => {
  const hung = () => new Promise<boolean>(() => {});
  await assert.rejects(until("an answer", hung, { timeoutMs: 30 }), /on: an answer: the last try has not answered/);
});

test("free ports are different", async () => {
  assert.equal(new Set(await freePorts(20)).size, 20);
});

test("a component that ends by itself is a fault with the end of its log; one that is stopped is none", async () => {
  const faulty = component("faulty", "echo cannot; exit 3");
  await faulty.start();
  await faulty.ended();
  assert.throws(() => faulty.check(), /faulty ended with 3.*\n.*\n?.*cannot/);
  const good = component("good", "exec sleep 1000");
  await good.start();
  await good.stop();
  good.check();
  assert.ok(!good.running);
});

test("a paused component can be killed, and one that ignores SIGTERM too", async () => {
  const paused = component("paused", "exec sleep 1000");
  await paused.start();
  paused.pause();
  await paused.kill();
  assert.ok(!paused.running);
  const deaf = component("deaf", "trap '' TERM; echo ready; while :; do sleep 0.05; done");
  await deaf.start();
  await until("it is deaf", () => deaf.tail().includes("ready"), { everyMs: 10 });
  await deaf.stop(200);
  assert.ok(!deaf.running);
});

test("components die with the process that started them", async () => {
  const program = `
    const { Component } = await import(${JSON.stringify(path.join(import.meta.dirname, "component.ts"))});
    const { machine } = await import(${JSON.stringify(path.join(import.meta.dirname, "space.ts"))});
    const sleeper = new Component("sleeper", ${JSON.stringify(path.join(work, "sleeper.log"))}, () => machine, () => ({ argv: ["sleep", "1000"] }));
    await sleeper.start();
    console.log(sleeper.pid);
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(parent.stdout, "data");
  const pid = Number(String(line));
  // From when it has become the command: `setpriv` asks for the signal before that.
  await until("the component runs", () => readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("sleep\0"));
  parent.kill("SIGKILL");
  await until("the component is gone", () => !existsSync(`/proc/${pid}`), { timeoutMs: 5000 });
});

test("folders of processes that are gone are swept, those of living ones stay", () => {
  const name = newName(work);
  const dead = path.join(work, "loretoken-cluster-999999999-1");
  mkdirSync(path.join(dead, "deep"), { recursive: true });
  sweep(work);
  assert.ok(existsSync(path.join(work, name)));
  assert.ok(!existsSync(dead));
});

test("a portal carries connections both ways, and closes when the other side does", async () => {
  const web = createServer((request, answer) => request.pipe(answer)).listen(0, "127.0.0.1");
  await once(web, "listening");
  const socket = path.join(work, "portal.sock");
  const inside = spawn(process.execPath, [portalProgram, socket], { stdio: "inherit" });
  const portals = new Portals(socket);
  try {
    await until("the portal is there", () => existsSync(socket), { everyMs: 20 });
    const port = await portals.to("127.0.0.1", (web.address() as AddressInfo).port);
    const body = "x".repeat(1 << 20);
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () =>
        (await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body })).text(),
      ),
    );
    assert.ok(answers.every((answer) => answer === body));
    const [closed = 0] = await freePorts(1);
    const nowhere = connect(await portals.to("127.0.0.1", closed), "127.0.0.1");
    await once(nowhere, "close");
    assert.equal(await portals.to("127.0.0.1", (web.address() as AddressInfo).port), port);
  } finally {
    await portals.close();
    inside.kill();
    web.closeAllConnections();
    web.close();
  }
});
