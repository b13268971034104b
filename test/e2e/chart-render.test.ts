/**
 * Every object that the chart renders is taken by a real API server, each field checked; pods of the operator are of the level
 * `restricted`, those of the agent are so but for what docs/operations.md gives reasons for.
 */
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { ApiError, apply, Client, type KubeObject, pathOf, type Resource } from "@loretoken/kube";
import { Cluster, needsOwnCluster, until } from "@loretoken/test-cluster";
import { parse } from "yaml";
import { filesIn, type KubernetesObject, namespace, objectsOf, readText, render } from "../chart/helm.ts";

const fieldOwner = "test";
const definitions = cluster("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions");
const namespaces = cluster("v1", "Namespace", "namespaces");
const pods: Resource = { apiVersion: "v1", kind: "Pod", plural: "pods", namespaced: true };

function cluster(apiVersion: string, kind: string, plural: string): Resource {
  return { apiVersion, kind, plural, namespaced: false };
}

interface ResourceList {
  readonly resources: readonly { readonly name: string; readonly kind: string; readonly namespaced: boolean }[];
}

/** What the API server serves, asked once per group. */
class Discovery {
  readonly #client: Client;
  readonly #groups = new Map<string, Promise<ResourceList>>();

  constructor(client: Client) {
    this.#client = client;
  }

  async resourceOf({ apiVersion, kind }: KubernetesObject): Promise<Resource> {
    const at = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const asked = this.#groups.get(apiVersion) ?? this.#client.request<ResourceList>({ method: "GET", path: at });
    this.#groups.set(apiVersion, asked);
    const { resources } = await asked;
    const found = resources.find((one) => one.kind === kind && !one.name.includes("/"));
    assert.ok(found !== undefined, `${apiVersion} has no ${kind}`);
    return { apiVersion, kind, plural: found.name, namespaced: found.namespaced };
  }
}

test("what the chart renders, on a real API server", { skip: needsOwnCluster }, async (context) => {
  const server = await Cluster.start({ kind: "control", name: "chart-render" });
  const client = new Client({ config: await server.kubeConfig(), userAgent: "test" });
  context.after(async () => {
    client.close();
    await server.stop();
  });
  const discovery = new Discovery(client);
  const own = path.resolve(import.meta.dirname, "../../crds");
  for (const file of [...filesIn("third-party").values(), ...filesIn(own).values()]) {
    const definition = parse(readText(file)) as KubeObject & { spec: { group: string; versions: { name: string }[] } };
    await apply(client, { resource: definitions, object: definition, fieldOwner });
    await until(`${definition.metadata?.name} is served`, async () => {
      const { group, versions } = definition.spec;
      await client.request({ method: "GET", path: `/apis/${group}/${versions[0]?.name}` });
      return true;
    });
  }
  await apply(client, { resource: namespaces, object: { metadata: { name: namespace } }, fieldOwner });

  const tryOut = async (object: KubernetesObject): Promise<void> => {
    const resource = await discovery.resourceOf(object);
    const { name } = object.metadata;
    if (resource.namespaced) assert.equal(object.metadata.namespace, namespace, `${object.kind} ${name}: namespace`);
    await client.request({
      method: "PATCH",
      path: pathOf(resource, { name, ...(resource.namespaced ? { namespace } : {}) }),
      query: { dryRun: "All", fieldValidation: "Strict", fieldManager: fieldOwner, force: "true" },
      contentType: "application/apply-patch+yaml",
      body: object,
    });
  };

  for (const [name, file] of filesIn("cases")) {
    await context.test(`${name}: every object is taken, every field known`, async () => {
      const more = ["--set=crds.enabled=true", "--set=monitoring.dashboard.enabled=true"];
      const objects = objectsOf(await render(file, more));
      assert.ok(objects.length > 5, `only ${objects.length} objects`);
      for (const object of objects) {
        await tryOut(object).catch((error: unknown) => {
          throw new Error(`${object.kind} ${object.metadata.name}: ${error}`, { cause: error });
        });
      }
    });
  }

  await context.test("a field that is not known would be told", async () => {
    const [service] = objectsOf(await render(filesIn("cases").get("default") ?? "")).filter(
      ({ kind }) => kind === "Service",
    );
    assert.ok(service);
    const wrong = { ...service, spec: { ...service.spec, selectors: {} } };
    await assert.rejects(tryOut(wrong), /selectors/);
  });

  const violations = async (kind: string, level: string): Promise<string[]> => {
    const name = `${level}-${kind.toLowerCase()}`;
    const labels = { "pod-security.kubernetes.io/enforce": level };
    await apply(client, { resource: namespaces, object: { metadata: { name, labels } }, fieldOwner });
    const objects = objectsOf(await render(filesIn("cases").get("default") ?? ""));
    const template = objects.find((object) => object.kind === kind)?.spec.template;
    const spec = { ...template.spec, serviceAccountName: "default", automountServiceAccountToken: false };
    const accounts: Resource = {
      apiVersion: "v1",
      kind: "ServiceAccount",
      plural: "serviceaccounts",
      namespaced: true,
    };
    await apply(client, { resource: accounts, object: { metadata: { name: "default", namespace: name } }, fieldOwner });
    const body = { apiVersion: "v1", kind: "Pod", metadata: { name: "pod" }, spec };
    try {
      await client.request({ method: "POST", path: pathOf(pods, { namespace: name }), query: { dryRun: "All" }, body });
      return [];
    } catch (error) {
      assert.ok(error instanceof ApiError && /violates PodSecurity/.test(error.message), String(error));
      const [, list = ""] = /violates PodSecurity "[^"]*": (.*)$/.exec(error.message) ?? [];
      return [...list.matchAll(/([A-Za-z][A-Za-z0-9 =!]*) \(/g)].map(([, what = ""]) => what).sort();
    }
  };

  await context.test("the operator's pods are of the level restricted", async () => {
    assert.deepEqual(await violations("Deployment", "restricted"), []);
  });

  await context.test("the agent's pods exceed it by root and folders of the node, nothing else", async () => {
    assert.deepEqual(await violations("DaemonSet", "baseline"), ["hostPath volumes"]);
    assert.deepEqual(await violations("DaemonSet", "restricted"), [
      "restricted volume types",
      "runAsNonRoot != true",
      "runAsUser=0",
    ]);
  });
});
