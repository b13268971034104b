import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { Client } from "@loretoken/kube";
import { TestApiServer } from "@loretoken/kube/testing";
import { webhookConfiguration } from "../admission/webhook-configuration.ts";
import { KubeSecretStore, KubeTrustStore } from "./kube-stores.ts";
import { ConflictError } from "./stores.ts";

async function started(t: TestContext): Promise<{ server: TestApiServer; client: Client }> {
  const server = await new TestApiServer().start();
  const client = new Client({ config: server.config, userAgent: "test", timeout: 1000 });
  t.after(async () => {
    client.close();
    await server.stop();
  });
  return { server, client };
}

test("of two that create the Secret one wins; of two that replace it too", async (t) => {
  const { client } = await started(t);
  const [one, two] = [0, 1].map(() => new KubeSecretStore(client, { namespace: "n", name: "s" })) as [
    KubeSecretStore,
    KubeSecretStore,
  ];
  assert.equal(await one.read(), undefined);
  await one.write({ a: "1" }, undefined);
  await assert.rejects(two.write({ a: "2" }, undefined), ConflictError);
  const read = await two.read();
  assert.deepEqual(read?.value, { a: "1" });
  await one.write({ a: "3" }, read?.version);
  await assert.rejects(two.write({ a: "4" }, read?.version), ConflictError);
  assert.deepEqual((await two.read())?.value, { a: "3" });
});

test("the caBundle is that of all webhooks, and is written with the version that was read", async (t) => {
  const { server, client } = await started(t);
  const store = new KubeTrustStore(client, "loretoken");
  assert.equal(await store.read(), undefined);
  const path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/loretoken";
  const url = { url: "https://127.0.0.1/" };
  const made = webhookConfiguration({ name: "loretoken", namespace: "n", client: url, caBundle: "YQ==" });
  const metadata = { name: "loretoken", resourceVersion: "7" };
  const [webhook] = made.webhooks ?? [];
  server.objects.set(path, { ...made, metadata });
  assert.deepEqual(await store.read(), { value: "YQ==", version: "7" });
  const both = [webhook, { ...webhook, name: "other", clientConfig: url }];
  server.objects.set(path, { ...made, metadata, webhooks: both } as never);
  assert.deepEqual(await store.read(), { value: "", version: "7" }, "they differ");
  server.objects.set(path, { ...made, metadata, webhooks: [] } as never);
  assert.equal(await store.read(), undefined, "nothing to write to");
  server.objects.set(path, { ...made, metadata, webhooks: both } as never);
  await store.read();
  let code = 200;
  server.answer = ({ method, body }) => (method === "PATCH" ? { code, body: code === 200 ? body : {} } : undefined);
  await store.write("Yg==", "7");
  const { body, query } = server.seen.at(-1) ?? assert.fail();
  assert.equal(query.get("fieldManager"), "loretoken-certificates");
  assert.deepEqual(body, {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    metadata,
    webhooks: [
      { name: "pods.loretoken.dev", clientConfig: { caBundle: "Yg==" } },
      { name: "other", clientConfig: { caBundle: "Yg==" } },
    ],
  });
  code = 409;
  await assert.rejects(store.write("Yg==", "7"), ConflictError);
  server.faults.push("reset");
  await assert.rejects(store.read(), /ECONNRESET|hang up/);
});
