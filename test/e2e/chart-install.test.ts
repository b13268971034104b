/**
 * The chart as a user has it, by Helm: install, upgrade, rollback, uninstall, while one program runs through all of it. Tests go on where
 * the one before stopped. The operator is switched off here.
 */
import assert from "node:assert/strict";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { CoreV1Api, CustomObjectsApi, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { needsOwnCluster, type Target, until, useTarget } from "@loretoken/test-cluster";
import { hostFolder, resource } from "./support/agent.ts";
import { agentImage, ChartRelease, forbidden, namespace, registry } from "./support/chart-release.ts";
import { shell, shellImage, train, trainImage } from "./support/images.ts";
import { braked, plainTraining, results } from "./support/programs.ts";

const own = { skip: needsOwnCluster };
const gpus = ["8GiB", "8GiB"];
/** By its path on the node. */
const brakeFolder = "/var/lib/e2e-brake";
/** More than its share of the card, so that it packs. */
const training = ["--steps", "8", "--live", "900MiB"];
const images = [`--set=image.registry=${registry}`, "--set=operator.enabled=false"];
const forever = ["/bin/sleep", "1000000"];

/** What the simulated driver of the program does from now on. */
function inject(target: Target, ...lines: string[]): void {
  const folder = path.join(target.cluster.folder, "lib", path.relative("/var/lib", brakeFolder));
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "new"), lines.map((line) => `${line}\n`).join(""));
  renameSync(path.join(folder, "new"), path.join(folder, "control"));
}

async function offers(target: Target, count: number): Promise<void> {
  const api = target.config.makeApiClient(CoreV1Api);
  await until(`the node offers ${count} units`, async () => {
    const found = (await api.readNode({ name: target.cluster.nodeName })).status?.allocatable?.[resource];
    if (found !== String(count)) throw new Error(`it offers ${found}; ${await new ChartRelease(target).agentLog()}`);
    return true;
  });
}

const onNode = (target: Target, command: string): Promise<string> => target.cluster.exec(["sh", "-c", command]);

/** Folders of the shim on the node, one per version. */
async function shims(target: Target): Promise<string[]> {
  return (await onNode(target, `ls ${hostFolder}/shim`)).split("\n").filter((name) => name !== "");
}

const cluster = useTarget(
  "chart-install",
  async () => ({
    kind: "node",
    audit: true,
    images: [await agentImage("one", gpus), await agentImage("two", gpus), await train(), await shell()],
  }),
  async (target) => {
    if (needsOwnCluster) return;
    // As GPU feature discovery labels it.
    await target.config
      .makeApiClient(CoreV1Api)
      .patchNode(
        { name: target.cluster.nodeName, body: { metadata: { labels: { "nvidia.com/gpu.present": "true" } } } },
        setHeaderOptions("Content-Type", PatchStrategy.MergePatch),
      );
  },
);
const use = () => ({ target: cluster.current, release: new ChartRelease(cluster.current), pods: cluster.current.pods });

/** The program that runs through it all, as it must stay: never started again. */
async function undisturbed(): Promise<void> {
  const { pods } = use();
  const { status } = await pods.read("through");
  const [container] = status?.containerStatuses ?? [];
  assert.deepEqual(
    [container?.restartCount, container?.state?.running !== undefined],
    [0, true],
    await pods.describe("through"),
  );
}

test("installed with nothing but its images, it lets a pod have a larger GPU", own, async () => {
  const { target, release, pods } = use();
  const notes = await release.install(...images, "--set=agent.image.tag=one");
  assert.match(notes, /kubectl get gpunodes/);
  await offers(target, 22);
  const api = target.config.makeApiClient(CustomObjectsApi);
  const nodes = { group: "loretoken.dev", version: "v1alpha1", plural: "gpunodes" };
  await until("its GpuNode is written", async () => {
    const { items } = (await api.listClusterCustomObject(nodes)) as { items: { status?: { gpus?: object[] } }[] };
    return items[0]?.status?.gpus?.length === gpus.length;
  });
  inject(target, braked(2_000_000));
  await pods.run({
    name: "through",
    image: trainImage,
    limits: { [resource]: 1 },
    env: {
      LORETOKEN_SIM_DEVICES: gpus.join(","),
      LORETOKEN_SIM_POISON: "0",
      LORETOKEN_SIM_CONTROL: "/brake/control",
      LORETOKEN_PENALTY_WINDOW: "3600000", // a simulated card is slow
    },
    spec: { volumes: [{ name: "brake", hostPath: { path: brakeFolder, type: "Directory" } }] },
    container: { args: training, volumeMounts: [{ name: "brake", mountPath: "/brake", readOnly: true }] },
  });
  await until("it has its memory", async () => /memory at start: .* of 1024 MiB/.test(await pods.logs("through")));
  const [shim, ...others] = await shims(target);
  assert.ok(shim !== undefined && others.length === 0);
});

test("an upgrade gives new pods the new shim; the program that runs has its own and notices nothing", own, async () => {
  const { target, release, pods } = use();
  const before = await release.agent();
  const [old] = await shims(target);
  await release.upgrade("--reuse-values", "--set=agent.image.tag=two", "--set=agent.settings.expansion=2");
  const after = await release.agent();
  assert.notEqual(after.metadata?.uid, before.metadata?.uid);
  assert.match(after.spec?.containers[0]?.image ?? "", /:two$/);
  // 15 on each card, less one: the program that runs keeps the larger share that a unit had when it was given.
  await offers(target, 29);
  await undisturbed();
  const both = await shims(target);
  assert.ok(both.length === 2 && both.includes(old ?? ""), both.join());
  await pods.run({ name: "new", image: shellImage, command: forever, limits: { [resource]: 1 } });
  const { stdout } = await pods.exec("new", ["/bin/sh", "-c", "ls /opt/loretoken/*"]);
  assert.ok(stdout.includes("two.txt") && !stdout.includes("one.txt"), stdout);
  // What nobody was seen to own is kept for ten minutes.
  await until("the agent knows whose it is", async () => {
    return (await onNode(target, `grep -ls '"new"' ${hostFolder}/allocations/*/allocation.json || true`)) !== "";
  });
  await pods.remove("new");
});

test("an upgrade that is refused changes nothing", own, async () => {
  const { release } = use();
  const before = await release.agent();
  await assert.rejects(release.upgrade("--reuse-values", "--set=agent.settings.expansoin=3"), /expansoin/);
  assert.equal((await release.agent()).metadata?.uid, before.metadata?.uid);
});

test("a rollback brings the agent before back, and what it offered", own, async () => {
  const { target, release } = use();
  await release.rollback(1);
  assert.match((await release.agent()).spec?.containers[0]?.image ?? "", /:one$/);
  await offers(target, 22);
  await undisturbed();
  await until("the shim that nobody has any more is gone", async () => (await shims(target)).length === 1);
});

test("the agent's role is enough for all it does", own, () => {
  assert.deepEqual(forbidden(cluster.current, "loretoken-agent"), []);
});

test(
  "uninstalled, it leaves what `keep` says, and the program goes on to its end with the right bits",
  own,
  async () => {
    const { target, release, pods } = use();
    assert.ok((await release.objects()).length > 6, "objects are found by their label");
    await release.uninstall();
    await until("nothing but the definitions is left", async () => {
      const left = (await release.objects()).map(({ kind, name }) => `${kind} ${name}`).sort();
      assert.deepEqual(left, [
        "CustomResourceDefinition compressionpolicies.loretoken.dev",
        "CustomResourceDefinition gpunodes.loretoken.dev",
      ]);
      return true;
    });
    const { items } = await target.config.makeApiClient(CoreV1Api).listNamespacedSecret({ namespace });
    assert.deepEqual(items, [], "Helm's own records are gone");
    await offers(target, 0);
    await undisturbed();
    inject(target);
    assert.equal(await pods.ended("through", 240_000), 0, await pods.logs("through"));
    assert.deepEqual(results(await pods.logs("through")), results(await plainTraining(training)));
  },
);

test("installed again over what was kept, it tidies up; without `keep` the definitions go too", own, async () => {
  const { target, release, pods } = use();
  await pods.remove("through");
  await release.install(...images, "--set=agent.image.tag=two", "--set=crds.keep=false");
  await offers(target, 22);
  await until("files of the program that is gone are gone", async () => {
    return (await onNode(target, `ls ${hostFolder}/allocations`)).trim() === "";
  });
  await release.uninstall();
  await until("nothing is left", async () => {
    assert.deepEqual(await release.objects(), []);
    return true;
  });
});
