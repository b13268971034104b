/** A control plane alone: what tests of API clients stand on. Needs no rights. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CoreV1Api } from "@kubernetes/client-node";
import { Cluster, needsOwnCluster } from "@loretoken/test-cluster";

test("two control planes at once, each with roles, audit log and components that fail alone", {
  skip: needsOwnCluster,
}, async (context) => {
  const options = { kind: "control", audit: true } as const;
  const [one, two] = await Promise.all([
    Cluster.start({ ...options, name: "control-one" }),
    Cluster.start({ ...options, name: "control-two" }),
  ]);
  context.after(() => Promise.all([one.stop(), two.stop()]));

  await context.test("what one holds the other does not", async () => {
    const [first, second] = [await client(one), await client(two)];
    await first.createNamespace({ body: { metadata: { name: "only-here" } } });
    await assert.rejects(second.readNamespace({ name: "only-here" }), { code: 404 });
  });

  await context.test("a user may do what its roles say, and the audit log has both", async () => {
    const scheduler = await client(one, "scheduler");
    await scheduler.listPodForAllNamespaces();
    await assert.rejects(scheduler.listSecretForAllNamespaces(), { code: 403 });
    const events = readFileSync(one.control.auditLog, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const codes = events
      .filter(({ user, stage }) => user.username === "system:kube-scheduler" && stage === "ResponseComplete")
      .map(({ verb, objectRef, responseStatus }) => `${verb} ${objectRef.resource} ${responseStatus.code}`);
    assert.deepEqual(codes, ["list pods 200", "list secrets 403"]);
  });

  await context.test("the port stays the same over a restart, and the other goes on meanwhile", async () => {
    const port = await one.apiPort();
    await one.components.apiServer.kill();
    await (await client(two)).listNamespace();
    await assert.rejects(one.apiReady(1000), /gave up/);
    await one.components.apiServer.start();
    await one.apiReady();
    assert.equal(await one.apiPort(), port);
    await (await client(one)).readNamespace({ name: "only-here" });
  });
});

async function client(cluster: Cluster, identity: "admin" | "scheduler" = "admin"): Promise<CoreV1Api> {
  return (await cluster.kubeConfig(identity)).makeApiClient(CoreV1Api);
}
