/**
 * The whole chart with nothing but its images: annotated pods get their memory, others nothing, through an upgrade of the operator and
 * until it is uninstalled. Tests go on where the one before stopped.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { CoreV1Api, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { needsOwnCluster, until, useTarget } from "@loretoken/test-cluster";
import { root } from "../chart/helm.ts";
import { resource } from "./support/agent.ts";
import { agentImage, ChartRelease, forbidden, operatorImage, registry } from "./support/chart-release.ts";
import { shell, shellImage } from "./support/images.ts";

const there = existsSync(path.join(root, "operator/package.json"));
const own = { skip: there ? needsOwnCluster : "operator/ is not there" };
const images = [`--set=image.registry=${registry}`, "--set=agent.image.tag=one", "--set=operator.image.tag=one"];
const forever = ["/bin/sleep", "1000000"];
const annotations = { "loretoken.dev/vram": "2Gi" };

const cluster = useTarget(
  "chart-operator",
  async () =>
    there
      ? {
          kind: "node",
          audit: true,
          images: [await agentImage("one", ["8GiB"]), await operatorImage("one"), await shell()],
        }
      : { kind: "control" },
  async (target) => {
    if (own.skip) return;
    await target.config
      .makeApiClient(CoreV1Api)
      .patchNode(
        { name: target.cluster.nodeName, body: { metadata: { labels: { "nvidia.com/gpu.present": "true" } } } },
        setHeaderOptions("Content-Type", PatchStrategy.MergePatch),
      );
  },
);

/** Units that a pod's container asks for; undefined: none. */
async function asked(name: string, annotated: boolean): Promise<string | undefined> {
  const { spec } = await cluster.current.pods.create({
    name,
    image: shellImage,
    command: forever,
    ...(annotated && { annotations }),
  });
  return spec?.containers[0]?.resources?.limits?.[resource];
}

test("installed with nothing but its images, an annotated pod runs with its memory", own, async () => {
  const release = new ChartRelease(cluster.current);
  const { pods } = cluster.current;
  await release.install(...images);
  // The API server may hear of the caBundle a moment later.
  await until("annotated pods are admitted", async () => (await asked("annotated", true)) === "2");
  await pods.ready("annotated");
  const { stdout } = await pods.exec("annotated", ["/bin/sh", "-c", "cat /etc/ld.so.preload; echo $LORETOKEN_UNITS"]);
  assert.match(stdout, /libloretoken\.so\n2\n$/);
  assert.equal(await asked("plain", false), undefined);
});

test("no annotated pod is refused while the operator is upgraded", own, async () => {
  const release = new ChartRelease(cluster.current);
  const { pods } = cluster.current;
  let upgraded = false;
  const upgrade = release.upgrade("--reuse-values", "--set=operator.settings.logLevel=debug").finally(() => {
    upgraded = true;
  });
  let count = 0;
  while (!upgraded) {
    assert.equal(await asked(`during-${count}`, true), "2");
    await pods.remove(`during-${count}`);
    count += 1;
  }
  await upgrade;
  assert.ok(count > 2, `only ${count} pods were made`);
});

test("the roles are enough for all that was done", own, () => {
  for (const account of ["loretoken-agent", "loretoken-operator"]) {
    assert.deepEqual(forbidden(cluster.current, account), [], account);
  }
});

test("uninstalled, nothing of the operator is left, and annotated pods are made as they are", own, async () => {
  const release = new ChartRelease(cluster.current);
  await release.uninstall();
  await until("nothing but the definitions is left", async () => {
    const left = (await release.objects()).filter(({ kind }) => kind !== "CustomResourceDefinition");
    assert.deepEqual(left, []);
    return true;
  });
  assert.equal(await asked("after", true), undefined);
});
