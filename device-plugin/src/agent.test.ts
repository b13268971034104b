/** The agent as the kubelet meets it. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { telemetry } from "@loretoken/telemetry";
import { readControl } from "@loretoken/telemetry/control";
import type { Observer } from "./observer.ts";
import { GiB, unitsOf } from "./testing/fixtures.ts";
import { nodeOf, pod, until } from "./testing/node.ts";

test("it serves, registers, and lists every unit of every GPU", async (t) => {
  const node = nodeOf(t);
  await node.started();
  const [registration] = node.kubelet.registrations;
  assert.equal(registration?.resourceName, "loretoken.dev/vram");
  assert.equal(registration?.options?.getPreferredAllocationAvailable, true);
  const ids = node.kubelet.lists[0]?.devices.map(({ ID, health }) => `${ID} ${health}`);
  assert.deepEqual(
    ids,
    [...unitsOf(0, 0, 35), ...unitsOf(1, 0, 1)].map((id) => `${id} Healthy`),
  );
});

test("a container gets files with its shares, and its owner is learnt", async (t) => {
  const node = nodeOf(t);
  const { agent } = await node.started([], { podUid: async (namespace, name) => `uid-of-${namespace}-${name}` });
  const edits = (await node.kubelet.run(pod("p", 7))).get("c0");
  const [holding] = agent.holdings();
  assert.ok(holding && edits);
  assert.equal(holding.virtualSize, 7n * GiB);
  assert.equal(edits.envs.LORETOKEN_VIRTUAL, String(7n * GiB));
  const [device] = readControl(holding.control).devices;
  assert.deepEqual([device?.uuid, device?.limit, device?.virtualSize], [holding.gpuUuid, holding.guaranteed, 7n * GiB]);
  assert.equal(statSync(holding.telemetry).size, telemetry.size);
  const shim = edits.mounts.find(({ containerPath }) => containerPath.startsWith("/opt/loretoken/"));
  assert.equal(readFileSync(join(shim?.hostPath ?? "", "libloretoken.so"), "utf8"), "a shim");
  await until("the owner is known", () => agent.holdings()[0]?.owner !== undefined);
  assert.deepEqual(agent.holdings()[0]?.owner, {
    namespace: "default",
    pod: "p",
    podUid: "uid-of-default-p",
    container: "c0",
  });
});

test("with the pod go its files, and no sooner", async (t) => {
  const node = nodeOf(t);
  const released: string[] = [];
  const observer: Observer = { releasing: ({ owner }) => void released.push(owner?.pod ?? "?") };
  const { agent } = await node.started([], { observers: [observer] });
  await node.kubelet.run(pod("p", 7));
  await node.kubelet.run(pod("q", 3, 4));
  await until("all owners are known", () => agent.holdings().every(({ owner }) => owner !== undefined));
  node.kubelet.manager.remove(pod("p"));
  await until("one is gone", () => agent.holdings().length < 3);
  await sleep(300);
  assert.deepEqual(
    agent.holdings().map(({ owner }) => owner?.pod),
    ["q", "q"],
  );
  assert.deepEqual(released, ["p"]);
  assert.equal(readdirSync(join(node.hostFolder, "allocations")).length, 2);
});

test("a kubelet that starts anew gets the list again; nothing is lost though it lists no pod at first", async (t) => {
  const node = nodeOf(t);
  const { agent } = await node.started();
  await node.kubelet.run(pod("p", 7));
  await until("the owner is known", () => agent.holdings()[0]?.owner !== undefined);
  node.kubelet.stop();
  const held = node.kubelet.manager.held(pod("p"), "c0");
  node.kubelet.manager.remove(pod("p"));
  await node.kubelet.start();
  await until("it is registered again", () => node.kubelet.registrations.length === 2 && node.kubelet.watching);
  await sleep(500);
  assert.ok(held);
  assert.deepEqual(
    agent.holdings().map(({ owner }) => owner?.pod),
    ["p"],
  );
  assert.ok(existsSync(agent.holdings()[0]?.control ?? ""));
});

test("in a pod of its own it takes a list for complete that has this pod", async (t) => {
  const node = nodeOf(t);
  await node.kubelet.start();
  const agent = node.agent([], { ownPod: "default/agent" });
  await agent.start();
  await until("the kubelet has the list", () => node.kubelet.lists.length > 0);
  await node.kubelet.run(pod("p", 7));
  await until("the owner is known", () => agent.holdings()[0]?.owner !== undefined);
  node.kubelet.manager.remove(pod("p"));
  await sleep(400);
  assert.equal(agent.holdings().length, 1, "a list without the agent says nothing");
  await node.kubelet.run({ namespace: "default", name: "agent", containers: [{ name: "agent", units: 0 }] });
  await until("it is released", () => agent.holdings().length === 0);
});

test("an agent that is there before the kubelet registers when it comes", async (t) => {
  const node = nodeOf(t);
  const port = await node.agent().start();
  assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 503);
  await node.kubelet.start();
  await until("the kubelet has the list", () => node.kubelet.lists.length > 0);
  assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200);
});

test("its socket comes back when somebody removes it", async (t) => {
  const node = nodeOf(t);
  await node.started();
  rmSync(join(node.kubelet.pluginFolder, "loretoken-vram.sock"));
  await until("it is registered again", () => node.kubelet.registrations.length === 2 && node.kubelet.watching);
  await until("its list is there", () => node.kubelet.lists.length === 2);
  await node.kubelet.run(pod("p", 2));
});

test("an agent that starts again knows what was given, and writes on in the files that containers have", async (t) => {
  const node = nodeOf(t);
  const { agent } = await node.started();
  await node.kubelet.run(pod("p", 7));
  await until("the owner is known", () => agent.holdings()[0]?.owner !== undefined);
  const before = agent.holdings();
  await agent.stop();
  await until("the kubelet sees it gone", () => !node.kubelet.watching);
  const next = node.agent(["--expansion", "1"]);
  await next.start();
  await until("it is registered again", () => node.kubelet.registrations.length === 2 && node.kubelet.watching);
  assert.deepEqual(next.holdings(), before);
  const control = before[0]?.control ?? "";
  const inode = statSync(control).ino;
  const beat = readControl(control).heartbeat ?? 0n;
  await until("the file shows life", () => (readControl(control).heartbeat ?? 0n) > beat);
  assert.equal(statSync(control).ino, inode);
  assert.equal(
    readControl(control).devices[0]?.limit,
    before[0]?.guaranteed,
    "a running container keeps its guarantee",
  );
  await until(
    "fewer units are offered",
    () => node.kubelet.lists.at(-1)?.devices.filter(({ ID }) => ID.startsWith("0-")).length === 23,
  );
});

test("files of a pod that went while there was no agent are removed by the next", async (t) => {
  const node = nodeOf(t);
  const { agent } = await node.started();
  await node.kubelet.run(pod("p", 7));
  await until("the owner is known", () => agent.holdings()[0]?.owner !== undefined);
  await agent.stop();
  node.kubelet.manager.remove(pod("p"));
  const next = node.agent(["--orphan-seconds", "1"]);
  await next.start();
  assert.equal(next.holdings().length, 1);
  await until("it is released", () => next.holdings().length === 0);
});

test("containers of a pod get the units that its init container had, and both have their files", async (t) => {
  const node = nodeOf(t);
  const { agent } = await node.started(["--orphan-seconds", "1"]);
  const spec = { ...pod("p", 6, 2), init: [{ name: "init", units: 4 }] };
  await node.kubelet.run(spec);
  const [init, first, second] = agent.holdings();
  assert.ok(init && first && second);
  assert.deepEqual(init.units, first.units.slice(0, 4));
  assert.equal(agent.gpuStates()[0]?.held, 8);
  await sleep(1500);
  assert.deepEqual(
    agent.holdings().map(({ owner }) => owner?.container),
    [undefined, "c0", "c1"],
  );
  assert.ok(existsSync(init.control), "it may run still");
  node.kubelet.manager.remove(spec);
  await until("all are released", () => agent.holdings().length === 0);
});

test("a pod that follows another at once gets its units before the agent has noticed the change", async (t) => {
  const node = nodeOf(t);
  const { agent } = await node.started(["--reconcile-seconds", "300"]);
  for (let round = 0; round < 5; ++round) {
    await node.kubelet.run(pod("p", 35));
    node.kubelet.manager.remove(pod("p"));
  }
  assert.equal(agent.holdings().length, 5);
  assert.equal(agent.gpuStates()[0]?.held, 35);
  const { guaranteed, capacity } = agent.gpuStates()[0] ?? {};
  assert.ok(guaranteed && capacity && guaranteed <= capacity.usable);
});

test("units that a living container has are refused, with its name; so are scattered ones, with the figures", async (t) => {
  const node = nodeOf(t);
  const refusals: string[] = [];
  const observer: Observer = { refused: ({ reason }) => void refusals.push(reason) };
  await node.started([], { observers: [observer] });
  await node.kubelet.run(pod("p", 7));
  const held = [...(node.kubelet.manager.held(pod("p"), "c0")?.ids ?? [])];
  await assert.rejects(
    node.kubelet.allocate(held),
    /7 of 7 units are given already: container c0 of pod default\/p has 0-0/,
  );
  await assert.rejects(
    node.kubelet.run(pod("q", 29)),
    /no GPU has 29 units free together.*Free units: GPU 0: 28, GPU 1: 1; a container that asks for 28/,
  );
  await assert.rejects(node.kubelet.allocate(["0-99"]), /not offered: 0-99; GPU 0 offers 35 of 35/);
  node.kubelet.stopPodResources();
  await assert.rejects(
    node.kubelet.allocate(held),
    /the kubelet does not say whether their container still lives: .*UNAVAILABLE/,
  );
  assert.deepEqual(refusals, ["UnitsAlreadyGiven", "UnitsOnSeveralGpus", "UnknownUnit", "NodeNotReady"]);
});

test("a container that starts again keeps its limits and begins with clean telemetry", async (t) => {
  const node = nodeOf(t);
  const { agent } = await node.started();
  await node.kubelet.run(pod("p", 7));
  const [holding] = agent.holdings();
  assert.ok(holding);
  const control = readControl(holding.control).devices;
  writeFileSync(holding.telemetry, Buffer.alloc(telemetry.size, 7));
  await node.kubelet.startContainer(pod("p"), "c0");
  assert.deepEqual(readFileSync(holding.telemetry), Buffer.alloc(telemetry.size));
  rmSync(holding.control);
  await node.kubelet.startContainer(pod("p"), "c0");
  assert.deepEqual(readControl(holding.control).devices, control);
});

test("a container whose files are gone is told that it needs a new pod", async (t) => {
  const node = nodeOf(t);
  const { agent } = await node.started();
  await node.kubelet.run(pod("p", 7));
  await agent.stop();
  rmSync(node.hostFolder, { recursive: true });
  await node.agent().start();
  await until("it is registered again", () => node.kubelet.registrations.length === 2 && node.kubelet.watching);
  await assert.rejects(
    node.kubelet.startContainer(pod("p"), "c0"),
    /no allocation on this node holds these 7 units.*delete the pod/,
  );
});

test("a damaged record is put aside, told once, and its units are not given while the container runs", async (t) => {
  const node = nodeOf(t);
  const { agent } = await node.started();
  await node.kubelet.run(pod("p", 20));
  await until("the owner is known", () => agent.holdings()[0]?.owner !== undefined);
  const [holding] = agent.holdings();
  const held = [...(node.kubelet.manager.held(pod("p"), "c0")?.ids ?? [])];
  await agent.stop();
  writeFileSync(join(node.hostFolder, "allocations", holding?.id ?? "", "allocation.json"), "");
  const next = node.agent();
  await next.start();
  await until("it is registered again", () => node.kubelet.registrations.length === 2 && node.kubelet.watching);
  const told = (): number => node.log.messages.filter((message) => message === "damaged allocation put aside").length;
  assert.equal(told(), 1);
  assert.ok(existsSync(join(node.hostFolder, "damaged", holding?.id ?? "", "control")));
  await until("the container is found", () => next.gpuStates()[0]?.held === 20);
  assert.deepEqual(next.holdings(), []);
  assert.equal(next.gpuStates()[0]?.guaranteed, holding?.guaranteed);
  await assert.rejects(node.kubelet.allocate(held), /20 of 20 units are given already: container c0 of pod default\/p/);
  await node.kubelet.run(pod("q", 15));
  const { guaranteed, capacity } = next.gpuStates()[0] ?? {};
  assert.ok(guaranteed && capacity && guaranteed <= capacity.usable);
  await assert.rejects(node.kubelet.startContainer(pod("p"), "c0"), /no allocation on this node holds these 20 units/);
  node.kubelet.manager.remove(pod("p"));
  await until("its units are free", () => next.gpuStates()[0]?.held === 15);
  await next.stop();
  const last = node.agent();
  await last.start();
  assert.equal(told(), 1);
});

test("with a damaged record nothing is given before the kubelet has said who holds what", async (t) => {
  const node = nodeOf(t);
  const { agent } = await node.started();
  await node.kubelet.run(pod("p", 20));
  const [holding] = agent.holdings();
  await agent.stop();
  writeFileSync(join(node.hostFolder, "allocations", holding?.id ?? "", "allocation.json"), "{}");
  node.kubelet.stopPodResources();
  await node.agent().start();
  await until("it is registered again", () => node.kubelet.registrations.length === 2 && node.kubelet.watching);
  await assert.rejects(
    node.kubelet.allocate(["0-30"]),
    /1 allocations on this node's disk were damaged, and the kubelet has not said yet/,
  );
  await node.kubelet.startPodResources();
  await until("the container is found", () => node.log.messages.includes("container without an allocation on record"));
  await node.kubelet.allocate(["0-30"]);
});

test("no room on the host's disk: nothing is given, and the kubelet is told where and what to do", async (t) => {
  const node = nodeOf(t);
  const { diskFiles } = await import("./store/files.ts");
  let full = false;
  const check = (): void => {
    if (full) throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  };
  const write: typeof diskFiles.write = async (path, content, options) => {
    check();
    await diskFiles.write(path, content, options);
  };
  const overwrite: typeof diskFiles.overwrite = async (path, content) => {
    check();
    await diskFiles.overwrite(path, content);
  };
  const { agent } = await node.started([], { files: { ...diskFiles, write, overwrite } });
  full = true;
  await assert.rejects(
    node.kubelet.run(pod("p", 7)),
    /nothing was allocated: keeping an allocation in .*allocations failed: .*the disk is full/,
  );
  assert.equal(agent.holdings().length, 0);
  full = false;
  await node.kubelet.run(pod("p", 7));
});

test("without a driver it waits, is well, and says so; without the shim it gives nothing", async (t) => {
  const node = nodeOf(t);
  await node.kubelet.start();
  const port = await node.agent(["--nvml-library=/nowhere/libnvidia-ml.so.1"]).start();
  const ready = await fetch(`http://127.0.0.1:${port}/readyz`);
  assert.equal(ready.status, 200);
  assert.match(await ready.text(), /no NVIDIA driver on this node: .* nothing to offer/);
  await sleep(200);
  assert.equal(node.kubelet.registrations.length, 0);

  const bare = nodeOf(t);
  rmSync(join(bare.shimFolder, "libloretoken.so"));
  const { port: barePort } = await bare.started();
  assert.equal((await fetch(`http://127.0.0.1:${barePort}/readyz`)).status, 503);
  await assert.rejects(bare.kubelet.run(pod("p", 1)), /the image has no shim: .*libloretoken.so is missing/);
  writeFileSync(join(bare.shimFolder, "libloretoken.so"), "a shim");
  await until("the shim is delivered", () => bare.log.messages.includes("shim delivered"));
  await bare.kubelet.run(pod("p", 1));
});

test("an old shim goes when its last container has gone", async (t) => {
  const node = nodeOf(t);
  const { agent } = await node.started();
  await node.kubelet.run(pod("p", 7));
  await until("the owner is known", () => agent.holdings()[0]?.owner !== undefined);
  await agent.stop();
  writeFileSync(join(node.shimFolder, "libloretoken.so"), "a newer shim");
  const next = node.agent(["--orphan-seconds", "1"]);
  await next.start();
  await sleep(300);
  const shims = (): string[] => readdirSync(join(node.hostFolder, "shim"));
  assert.equal(shims().length, 2);
  node.kubelet.manager.remove(pod("p"));
  await until("the old one is removed", () => shims().length === 1);
});
