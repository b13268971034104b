/** The same tests on a cluster that is not theirs: what KUBECONFIG names is used, and nothing of it is stopped. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { needsOwnCluster, until } from "@loretoken/test-cluster";

test("tests run on the cluster of KUBECONFIG, skip what would harm it, and leave no namespace", {
  skip: needsOwnCluster,
}, async (context) => {
  const up = path.join(import.meta.dirname, "../cluster/src/up.ts");
  const cluster = spawn(process.execPath, [up], { stdio: ["ignore", "pipe", "inherit"] });
  context.after(async () => {
    cluster.kill("SIGTERM");
    await once(cluster, "exit");
  });
  const variables: Record<string, string> = {};
  for await (const line of createInterface({ input: cluster.stdout })) {
    const [, name, value] = /^export (\w+)=(.*)/.exec(line) ?? [];
    if (name === undefined || value === undefined) break;
    variables[name] = value;
  }
  assert.deepEqual(Object.keys(variables), ["KUBECONFIG", "E2E_LOAD_IMAGE"]);

  const tests = path.join(import.meta.dirname, "platform.test.ts");
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env; // a run of its own, not a part of this one
  const run = spawnSync(process.execPath, ["--test", "--test-reporter=tap", tests], {
    encoding: "utf8",
    env: { ...environment, ...variables },
    timeout: 120_000,
  });
  assert.equal(run.status, 0, run.stdout + run.stderr);
  assert.match(run.stdout, /^# pass [1-9]/m);
  assert.match(run.stdout, /# SKIP needs a cluster of its own/);

  const config = new KubeConfig();
  config.loadFromFile(variables.KUBECONFIG ?? "");
  const api = config.makeApiClient(CoreV1Api);
  await until("the tests' namespace is gone", async () => {
    return (await api.listNamespace()).items.every(({ metadata }) => !metadata?.name?.startsWith("e2e-"));
  });
});
