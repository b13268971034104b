/** Enlarged GPU memory on a real kubelet: what is offered, what a container gets, what is refused and how that is said. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { test } from "node:test";
import { PodResources } from "@loretoken/kubelet";
import { needsOwnCluster, until } from "@loretoken/test-cluster";
import { resource, useAgent } from "./support/agent.ts";
import { build, shell, shellImage, train, trainImage } from "./support/images.ts";

const own = { skip: needsOwnCluster };
const gpus = ["8GiB", "8GiB"];
const { target, agent } = useAgent("agent-allocation", {
  gpus,
  flags: { "max-penalty-percent": "100" }, // a simulated card is slow
  images: [shell, train],
});
/** Half as much again as 8 GiB, less 4 % of them, in whole units. */
const unitsPerGpu = 11;
const forever = ["/bin/sleep", "1000000"];

test("the node offers every unit of every GPU, and the agent says that it is well", own, async () => {
  await agent().offers(2 * unitsPerGpu);
  assert.deepEqual(await agent().page("/readyz"), { status: 200, body: "ok\n" });
  assert.deepEqual(await agent().page("/healthz"), { status: 200, body: "ok\n" });
});

test("a container gets the shim, its files and its share; only its telemetry can be written", own, async () => {
  const { pods, cluster } = target();
  await pods.run({ name: "looks", image: shellImage, command: forever, limits: { [resource]: 4 } });
  const script = [
    "cat /etc/ld.so.preload",
    "ls /opt/loretoken/*",
    "echo $LORETOKEN_VIRTUAL $LORETOKEN_UNITS",
    "for file in /run/loretoken/control /run/loretoken/telemetry /etc/ld.so.preload /opt/loretoken/*/libloretoken.so; do",
    "  if ( : >> $file ) 2>/dev/null; then echo $file can be written; fi",
    "done",
  ].join("\n");
  const { stdout, code, stderr } = await pods.exec("looks", ["/bin/sh", "-c", script]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^\/opt\/loretoken\/\S+\/libloretoken\.so\n/);
  assert.match(stdout, /^4294967296 4$/m);
  assert.deepEqual(stdout.match(/\S+ can be written/g), ["/run/loretoken/telemetry can be written"]);

  const socket = path.join(cluster.node?.kubeletFolder ?? "", "pod-resources/kubelet.sock");
  using resources = new PodResources({ socket });
  const [held] = (await resources.list(resource)).containers;
  const kept = await until("the agent knows whose it is", async () => {
    return (await agent().kept()).find(({ owner }) => owner?.pod === "looks");
  });
  assert.deepEqual(kept.units.toSorted(), held?.ids.toSorted());
  await pods.remove("looks");
  await until("its files are gone", async () => (await agent().kept()).length === 0);
});

test("two pods share a GPU; one holds more than its share of it, and both compute the right bits", own, async () => {
  const { pods } = target();
  const args = ["--steps", "8", "--live", "900MiB"];
  const env = { LORETOKEN_SIM_DEVICES: gpus.join(","), LORETOKEN_SIM_POISON: "0" };
  const limits = { [resource]: 1 };
  await pods.create({ name: "over", image: trainImage, env, limits, container: { args } });
  await pods.create({
    name: "beside",
    image: trainImage,
    env,
    limits,
    container: { args: ["--steps", "8", "--live", "100MiB"] },
  });
  const codes = [await pods.ended("over"), await pods.ended("beside")];
  const [over, beside] = [await pods.logs("over"), await pods.logs("beside")];
  assert.deepEqual(codes, [0, 0], `${over}\n${beside}`);
  assert.match(over, /^memory at start: 1024 MiB free of 1024 MiB/m);
  assert.match(over, /^memory at end: .* of 1024 MiB, 913 MiB live$/m);
  assert.doesNotMatch(over + beside, /loretoken: (error|warning)/);
  const outside = (words: string[]) =>
    /^hash \S+$/m.exec(
      execFileSync(path.join(build, "bin/lt_train_example"), words, {
        encoding: "utf8",
        env: { ...process.env, ...env, LD_LIBRARY_PATH: path.join(build, "lib/sim") },
      }),
    )?.[0];
  assert.ok(over.includes(outside(args) ?? "no hash"), over);
  assert.ok(beside.includes(outside(["--steps", "8", "--live", "100MiB"]) ?? "no hash"), beside);
});

test("a pod that asks for more than is left on any one GPU is refused with the figures", own, async () => {
  const { pods } = target();
  await pods.run({ name: "first", image: shellImage, command: forever, limits: { [resource]: 7 } });
  await pods.run({ name: "second", image: shellImage, command: forever, limits: { [resource]: 7 } });
  const held = await until("these two hold units, those before no longer", async () => {
    const kept = await agent().kept();
    return (
      kept
        .map(({ owner }) => owner?.pod)
        .toSorted()
        .join() === "first,second" && kept
    );
  });
  assert.equal(new Set(held.map(({ gpuUuid }) => gpuUuid)).size, 2, "7 and 7 of 11 do not fit on one GPU");
  await pods.create({ name: "scattered", image: shellImage, command: forever, limits: { [resource]: 6 } });
  const pod = await pods.waitFor("scattered", "is refused", ({ status }) => status?.phase === "Failed");
  assert.equal(pod.status?.reason, "UnexpectedAdmissionError");
  assert.match(pod.status?.message ?? "", /no GPU has 6 units free together.*asks for 4 or fewer fits now/);
  await pods.run({ name: "fits", image: shellImage, command: forever, limits: { [resource]: 4 } });
});

test("a pod that asks for more than the node has stays unscheduled, and says so", own, async () => {
  const { pods } = target();
  await pods.create({ name: "huge", image: shellImage, command: forever, limits: { [resource]: 23 } });
  const pod = await pods.waitFor("huge", "is not scheduled", ({ status }) =>
    (status?.conditions ?? []).some(({ type, reason }) => type === "PodScheduled" && reason === "Unschedulable"),
  );
  const condition = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
  assert.match(condition?.message ?? "", /Insufficient loretoken\.dev\/vram/);
});
