import assert from "node:assert/strict";
import test from "node:test";
import { webhookConfiguration } from "./webhook-configuration.ts";

const service = { service: { name: "loretoken-webhook", namespace: "loretoken" } };

test("by default: annotated pods only, refused when nothing answers, asked again if others change the pod", () => {
  const { metadata, webhooks } = webhookConfiguration({ name: "loretoken", namespace: "loretoken", client: service });
  assert.deepEqual(metadata, { name: "loretoken" });
  const [webhook] = webhooks ?? assert.fail();
  assert.deepEqual(webhook?.clientConfig, { service: { ...service.service, port: 443, path: "/mutate-pods" } });
  const { failurePolicy, reinvocationPolicy, sideEffects, matchConditions, namespaceSelector } = webhook ?? {};
  assert.deepEqual([failurePolicy, reinvocationPolicy, sideEffects], ["Fail", "IfNeeded", "None"]);
  assert.match(JSON.stringify(matchConditions), /'loretoken.dev\/vram' in object.metadata.annotations/);
  assert.match(JSON.stringify(namespaceSelector), /"NotIn","values":\["kube-system","loretoken"\]/);
});

test("by values: a URL, Ignore, another limit, a bundle, labels", () => {
  const { metadata, webhooks } = webhookConfiguration({
    name: "n",
    namespace: "ns",
    client: { url: "https://127.0.0.1:1/mutate-pods" },
    failurePolicy: "Ignore",
    timeoutSeconds: 9,
    caBundle: "Q0E=",
    labels: { a: "b" },
  });
  assert.deepEqual(metadata, { name: "n", labels: { a: "b" } });
  const [webhook] = webhooks ?? assert.fail();
  assert.deepEqual(webhook?.clientConfig, { url: "https://127.0.0.1:1/mutate-pods", caBundle: "Q0E=" });
  assert.deepEqual([webhook?.failurePolicy, webhook?.timeoutSeconds], ["Ignore", 9]);
});
