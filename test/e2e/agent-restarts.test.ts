/** Whatever ends or vanishes under it, the agent loses no allocation and gives no unit twice. */
import assert from "node:assert/strict";
import { existsSync, rmSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { AppsV1Api } from "@kubernetes/client-node";
import { needsOwnCluster, until } from "@loretoken/test-cluster";
import { type Kept, resource, useAgent } from "./support/agent.ts";
import { shell, shellImage } from "./support/images.ts";

const own = { skip: needsOwnCluster };
const { target, agent } = useAgent("agent-restarts", { gpus: ["8GiB", "8GiB"], images: [shell] });
const units = 22;
const forever = ["/bin/sleep", "1000000"];

test("a container runs on one GPU through all that follows", own, async () => {
  await agent().offers(units);
  await run("stays", 5);
  assert.deepEqual(await owners(), ["stays"]);
});

test("the agent killed with -9 takes up what it gave, and gives what is free", own, async () => {
  const before = await allocations();
  await agent().kill();
  await agent().offers(units);
  assert.deepEqual(await allocations(), before);
  await run("after-kill", 6);
  await notTwice();
});

test("the agent killed again and again while pods come and go", own, async () => {
  const { pods } = target();
  const names = ["come-0", "come-1", "come-2", "come-3"];
  const killing = (async () => {
    for (let times = 0; times < 4; times++) await agent().kill();
  })();
  for (const name of names) {
    await pods.create({ name, image: shellImage, command: forever, limits: { [resource]: 2 } });
  }
  await killing;
  // A pod that was admitted while nobody answered is refused for good, and its controller would make another.
  const settled = await Promise.all(
    names.map((name) => pods.waitFor(name, "is settled", ({ status }) => /Running|Failed/.test(status?.phase ?? ""))),
  );
  const running = settled
    .filter(({ status }) => status?.phase === "Running")
    .map(({ metadata }) => metadata?.name ?? "");
  await until("who runs is known as owner", async () => {
    const known = await owners();
    if (!running.every((name) => known.includes(name))) throw new Error(`known: ${known}; running: ${running}`);
    return true;
  });
  await notTwice();
  for (const name of names) await pods.remove(name);
  await until("their files are gone", async () => {
    const known = await owners();
    if (known.join() !== "after-kill,stays") throw new Error(known.join());
    return true;
  });
});

test("a kubelet that is killed and starts anew is registered with again, and nothing is lost", own, async () => {
  const { cluster, pods } = target();
  const before = await allocations();
  await cluster.components.kubelet?.kill();
  await cluster.components.kubelet?.start();
  await cluster.nodeReady();
  await agent().offers(units);
  assert.deepEqual(await allocations(), before);
  assert.equal((await pods.ready("stays")).status?.containerStatuses?.[0]?.restartCount, 0);
  await run("after-kubelet", 3);
  await notTwice();
});

test("the agent's socket, removed by somebody, comes back", own, async () => {
  const socket = path.join(target().cluster.node?.kubeletFolder ?? "", "device-plugins/loretoken-vram.sock");
  assert.ok(existsSync(socket));
  rmSync(socket);
  await until("it is there again", () => existsSync(socket));
  await agent().offers(units);
  await run("after-socket", 1);
  await notTwice();
});

test("containerd killed and started again", own, async () => {
  const { cluster, pods } = target();
  const before = await allocations();
  await cluster.components.containerd?.kill();
  await cluster.components.containerd?.start();
  await until("commands run in the container again", async () => {
    return (await pods.exec("stays", ["/bin/sh", "-c", "cat /run/loretoken/control | wc -c"])).code === 0;
  });
  assert.deepEqual(await allocations(), before);
  await run("after-containerd", 1);
  await notTwice();
});

test("a container that is restarted in place keeps its allocation and its limits", own, async () => {
  const { pods } = target();
  const before = await until("its allocation is known", () => of("stays"));
  await pods.create({
    name: "crashes",
    image: shellImage,
    command: ["/bin/sh", "-c", "sleep 2; exit 1"],
    limits: { [resource]: 1 },
    spec: { restartPolicy: "Always" },
  });
  const kept = await until("its allocation is known", () => of("crashes"));
  await pods.waitFor(
    "crashes",
    "was restarted",
    ({ status }) => (status?.containerStatuses?.[0]?.restartCount ?? 0) >= 2,
  );
  const again = (await agent().kept()).filter(({ owner }) => owner?.pod === "crashes");
  assert.deepEqual(
    again.map(({ units: held }) => held),
    [kept.units],
  );
  assert.deepEqual(await of("stays"), before);
  await pods.remove("crashes");
});

// The kubelet refuses pods with devices for good that it finds before the plugin has registered; their controllers make others.
test(
  "a node that loses power gives its units to the pods that come after, none twice, and keeps no file of those before",
  own,
  async () => {
    const { cluster, pods, config, namespace } = target();
    const labels = { app: "survivor" };
    const limits = { [resource]: "2" };
    const container = {
      name: "main",
      image: shellImage,
      imagePullPolicy: "Never",
      command: forever,
      resources: { limits },
    };
    const template = { metadata: { labels }, spec: { terminationGracePeriodSeconds: 0, containers: [container] } };
    await config.makeApiClient(AppsV1Api).createNamespacedDeployment({
      namespace,
      body: { metadata: { name: "survivor" }, spec: { selector: { matchLabels: labels }, template } },
    });
    const before = await until("its allocation is known", survivor);
    await cluster.reboot();
    await agent().ready(undefined, 90_000);
    await agent().offers(units, 60_000);
    const another = async () => {
      const now = await survivor();
      return now !== undefined && now.id !== before.id && now;
    };
    const kept = await until("another runs in its place", another, { timeoutMs: 90_000 });
    const name = kept.owner?.pod ?? "";
    await pods.ready(name);
    const { stdout } = await pods.exec(name, ["/bin/sh", "-c", "echo $LORETOKEN_ALLOCATION; ls /run/loretoken"]);
    assert.equal(stdout, `${kept.id}\ncontrol\ntelemetry\n`);
    const onlyThat = async () => {
      const known = await owners();
      if (known.join() !== name) throw new Error(known.join());
      return true;
    };
    await until("files of containers that did not come back are gone", onlyThat, { timeoutMs: 60_000 });
    await run("after-reboot", 4);
    await notTwice();
  },
);

async function survivor(): Promise<Kept | undefined> {
  return (await agent().kept()).findLast(({ owner }) => owner?.pod.startsWith("survivor-"));
}

async function run(name: string, count: number): Promise<void> {
  await target().pods.run({ name, image: shellImage, command: forever, limits: { [resource]: count } });
  const kept = await until(`the owner of ${name}'s units is known`, () => of(name));
  assert.equal(kept.units.length, count);
}

async function of(pod: string): Promise<Kept | undefined> {
  return (await agent().kept()).find(({ owner }) => owner?.pod === pod);
}

async function owners(): Promise<string[]> {
  return (await agent().kept()).map(({ owner }) => owner?.pod ?? "nobody").toSorted();
}

async function allocations(): Promise<string[]> {
  return (await agent().kept()).map(({ id, units: held }) => `${id} ${held}`).toSorted();
}

async function notTwice(): Promise<void> {
  const given = (await agent().kept()).flatMap(({ units: held }) => held);
  assert.equal(new Set(given).size, given.length, `given twice: ${given}`);
}
