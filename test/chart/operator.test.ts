/** What the chart gives the operator is what the operator's own sources say that it takes. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { filesIn, type KubernetesObject, namespace, objectsOf, release, render, root } from "./helm.ts";

const operator = path.join(root, "operator/src");
const skip = existsSync(operator) ? false : "operator/ is not there";

/** Not by a plain import, which would fail where there is no operator. */
// biome-ignore lint/suspicious/noExplicitAny: types are the operator's
const load = (file: string): Promise<any> => import(path.join(operator, file));

async function objects(name: string): Promise<KubernetesObject[]> {
  return objectsOf(await render(filesIn("cases").get(name) ?? assert.fail(name)));
}

function only(found: readonly KubernetesObject[], kind: string, name: string): KubernetesObject {
  return found.find((one) => one.kind === kind && one.metadata.name === name) ?? assert.fail(`no ${kind} ${name}`);
}

test("the webhook is the one that the operator expects", { skip }, async () => {
  const { webhookConfiguration } = await load("admission/webhook-configuration.ts");
  const client = { service: { name: "loretoken-webhook", namespace } };
  const own = webhookConfiguration({ name: release, namespace, client });
  const { webhooks } = only(await objects("default"), "MutatingWebhookConfiguration", release);
  assert.deepEqual(webhooks, own.webhooks);
});

test("its file has what it takes, and names what the chart makes", { skip }, async () => {
  const { configSchema } = await load("config/schema.ts");
  for (const name of ["default", "everything", "cert-manager", "monitoring"]) {
    const found = await objects(name);
    const config = configSchema.parse(parse(only(found, "ConfigMap", "loretoken-operator").data["config.yaml"]));
    const names = found.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    assert.ok(names.includes(`Service ${config.service}`), config.service);
    if (config.certificates !== "own") continue;
    assert.ok(names.includes(`Secret ${config.secret}`), config.secret);
    assert.ok(names.includes(`MutatingWebhookConfiguration ${config.webhookConfiguration}`));
  }
});

test("every setting of its own is a value, or the chart sets it", { skip }, async () => {
  const { configSchema } = await load("config/schema.ts");
  const { values } = await import("../../charts/scripts/values/index.ts");
  const byTheChart = [
    ...["listen", "pages", "resource", "certificates", "certificateFolder"],
    ...["namespace", "service", "secret", "webhookConfiguration"],
  ];
  const settings = Object.keys(values.shape.operator.shape.settings.shape);
  assert.deepEqual([...byTheChart, ...settings].sort(), Object.keys(configSchema.shape).sort());
});

test("its roles are what it says that it needs", { skip }, async () => {
  const { rightsFor } = await load("rights.ts");
  const { namespaced, cluster } = rightsFor({ secret: "loretoken-webhook-ca", configuration: release });
  const found = await objects("default");
  assert.deepEqual(only(found, "Role", "loretoken-operator").rules, namespaced);
  assert.deepEqual(only(found, "ClusterRole", "loretoken-operator").rules, cluster);
});
