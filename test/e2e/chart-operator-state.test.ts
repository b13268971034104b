/** What the operator writes into objects of the release (authority, caBundle) outlives upgrades and rollbacks, and goes with it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, apply, Client, type KubeObject, pathOf, type Resource } from "@loretoken/kube";
import { Cluster, needsOwnCluster } from "@loretoken/test-cluster";
import { chart, helm } from "../chart/helm.ts";

const namespace = "loretoken";
const secrets: Resource = { apiVersion: "v1", kind: "Secret", plural: "secrets", namespaced: true };
const secret = { namespace, name: "loretoken-webhook-ca" };
const configurations: Resource = {
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "MutatingWebhookConfiguration",
  plural: "mutatingwebhookconfigurations",
  namespaced: false,
};
const data = { "ca.crt": "Y2VydGlmaWNhdGU=", "ca.key": "a2V5" };
const authority = Buffer.from("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n").toString("base64");

interface Configuration extends KubeObject {
  webhooks: { name: string; timeoutSeconds: number; clientConfig: { caBundle?: string } }[];
}

test("authority and caBundle through the life of a release", { skip: needsOwnCluster }, async (context) => {
  const cluster = await Cluster.start({ kind: "control", name: "chart-operator-state" });
  const client = new Client({ config: await cluster.kubeConfig(), userAgent: "test" });
  context.after(async () => {
    client.close();
    await cluster.stop();
  });
  const env = { ...process.env, KUBECONFIG: await cluster.kubeconfigFile() };
  const run = (...words: string[]): Promise<string> => helm([...words, `--namespace=${namespace}`], env);
  const configuration = (): Promise<Configuration> =>
    client.request({ method: "GET", path: pathOf(configurations, { name: "loretoken" }) });
  const kept = async (timeoutSeconds: number): Promise<void> => {
    const { webhooks } = await configuration();
    assert.deepEqual(
      webhooks.map(({ clientConfig, timeoutSeconds: found }) => [clientConfig.caBundle, found]),
      [[authority, timeoutSeconds]],
    );
    assert.deepEqual(
      (await client.request<{ data: object }>({ method: "GET", path: pathOf(secrets, secret) })).data,
      data,
    );
  };

  await run("install", "loretoken", chart, "--create-namespace", "--set=agent.enabled=false");
  // As the operator writes them: a merge patch of the Secret, server-side apply of the one field.
  await client.request({
    method: "PATCH",
    path: pathOf(secrets, secret),
    contentType: "application/merge-patch+json",
    body: { data },
  });
  const webhooks = [{ name: "pods.loretoken.dev", clientConfig: { caBundle: authority } }];
  await apply(client, {
    resource: configurations,
    object: { metadata: { name: "loretoken" }, webhooks } as KubeObject,
    fieldOwner: "loretoken-certificates",
  });
  await kept(5);

  await context.test("an upgrade that changes the webhook leaves them alone", async () => {
    await run("upgrade", "loretoken", chart, "--reuse-values", "--set=operator.webhook.timeoutSeconds=9");
    await kept(9);
  });

  await context.test("so does a rollback", async () => {
    await run("rollback", "loretoken", "1");
    await kept(5);
  });

  await context.test("both go when the release goes", async () => {
    await run("uninstall", "loretoken");
    const missing = (error: unknown): boolean => error instanceof ApiError && error.code === 404;
    await assert.rejects(configuration(), missing);
    await assert.rejects(client.request({ method: "GET", path: pathOf(secrets, secret) }), missing);
  });
});
