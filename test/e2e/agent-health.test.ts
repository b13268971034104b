/** GPUs that fall ill and recover, storms of XIDs, a host folder whose disk is full. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { needsOwnCluster, until } from "@loretoken/test-cluster";
import { resource, useAgent } from "./support/agent.ts";
import { shell, shellImage } from "./support/images.ts";

const own = { skip: needsOwnCluster };
const { target, agent } = useAgent("agent-health", {
  gpus: ["8GiB", "8GiB"],
  flags: { "recover-seconds": "8" }, // long enough to look at what is ill
  images: [shell],
});
const [units, all] = [11, 22];
const forever = ["/bin/sleep", "1000000"];

test(
  "a GPU that falls ill offers nothing new, its containers run on, and when it is well it offers again",
  own,
  async () => {
    const { pods } = target();
    await agent().offers(all);
    await pods.run({ name: "on-board", image: shellImage, command: forever, limits: { [resource]: 2 } });
    const kept = await until("its owner is known", async () =>
      (await agent().kept()).find(({ owner }) => owner?.pod === "on-board"),
    );
    const ill = kept.units[0]?.split("-")[0];
    await agent().faults(`xid=79:${ill}`);
    await agent().offers(units);
    assert.equal((await pods.ready("on-board")).status?.containerStatuses?.[0]?.restartCount, 0);
    await pods.run({ name: "elsewhere", image: shellImage, command: forever, limits: { [resource]: units } });
    const other = await until("its owner is known", async () =>
      (await agent().kept()).find(({ owner }) => owner?.pod === "elsewhere"),
    );
    assert.notEqual(other.gpuUuid, kept.gpuUuid);
    await agent().faults();
    await agent().offers(all);
    await pods.remove("on-board");
    await pods.remove("elsewhere");
  },
);

test("XIDs that programs cause are no faults, however many", own, async () => {
  for (let round = 1; round <= 30; round++) {
    await agent().faults(`xid=13:0:${round}`, `xid=31:1:${round}`, `xid=43:0:${round}`);
    await sleep(20);
  }
  const seen = (await agent().logs()).match(/"xid":(13|31|43),"fault":false/g) ?? [];
  assert.ok(seen.length >= 60, `the agent saw ${seen.length} of 90`);
  await agent().offers(all);
  assert.equal((await agent().page("/healthz")).status, 200);
});

test("a storm of XIDs that are faults makes the GPU ill once, and the agent stays small and well", own, async () => {
  const before = await rss();
  for (let round = 1; round <= 200; round++) {
    await agent().faults(
      ...Array.from({ length: 20 }, (_, index) => `xid=${index % 2 === 0 ? 79 : 74}:1:${round * 20 + index}`),
    );
    await sleep(10);
  }
  await agent().offers(units);
  assert.equal((await agent().page("/healthz")).status, 200);
  await agent().faults();
  await agent().offers(all, 60_000);
  const grown = (await rss()) - before;
  assert.ok(grown < 20 << 20, `the agent grew by ${grown} bytes`);
});

test(
  "with the disk of its folder full the agent refuses what it cannot keep, says why, and goes on when there is room",
  own,
  async () => {
    const { cluster, pods } = target();
    // The disk that is full must be the one that the agent sees: it starts anew on a small one.
    await cluster.exec(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", "/var/lib/loretoken"]);
    await agent().replace();
    await agent().offers(all);
    await pods.run({ name: "before-full", image: shellImage, command: forever, limits: { [resource]: 1 } });
    await until("its owner is kept", async () => (await owners()).join() === "before-full");
    await cluster.exec(["sh", "-c", "dd if=/dev/zero of=/var/lib/loretoken/full bs=64k 2>/dev/null || true"]);
    await pods.create({ name: "refused", image: shellImage, command: forever, limits: { [resource]: 1 } });
    const pod = await pods.waitFor("refused", "is refused", ({ status }) => status?.phase === "Failed");
    assert.equal(pod.status?.reason, "UnexpectedAdmissionError");
    assert.match(pod.status?.message ?? "", /\/var\/lib\/loretoken.*the disk is full/);
    assert.deepEqual(await owners(), ["before-full"], "nothing half done is left");
    await agent().kill();
    assert.deepEqual(await owners(), ["before-full"]);
    await cluster.exec(["rm", "/var/lib/loretoken/full"]);
    await pods.run({ name: "after-full", image: shellImage, command: forever, limits: { [resource]: 1 } });
    await until("both are known", async () => (await owners()).join() === "after-full,before-full");
  },
);

async function owners(): Promise<string[]> {
  return (await agent().kept()).map(({ owner }) => owner?.pod ?? "nobody").toSorted();
}

/** Bytes of memory that the agent holds. */
async function rss(): Promise<number> {
  const status = await target().cluster.exec(["cat", `/proc/${await agent().pid()}/status`]);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
