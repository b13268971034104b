/** CompressionPolicy on a real API server: the definition is taken, and it lets through what the schema lets through. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { get, type RequestOptions } from "node:https";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { test } from "node:test";
import { compressionPolicy, compressionPolicyResource as policies, withCondition } from "@loretoken/api";
import { ApiError, apply, Client, type KubeObject, pathOf, type Resource } from "@loretoken/kube";
import { Cluster, needsOwnCluster, until } from "@loretoken/test-cluster";
import { parse } from "yaml";
import { badPolicies, goodPolicies } from "../../lib/api/src/testing/policies.ts";
import { randomFrom, randomSpec } from "../../lib/api/src/testing/random.ts";

const definitions: Resource = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  namespaced: false,
};

interface Policy extends KubeObject {
  spec?: object;
  status?: object;
}

interface Definition extends KubeObject {
  status: { conditions: { type: string; status: string; message?: string }[] };
}

test("CompressionPolicy as the API server has it", { skip: needsOwnCluster }, async (context) => {
  const cluster = await Cluster.start({ kind: "control", name: "policy-api" });
  const client = new Client({ config: await cluster.kubeConfig(), userAgent: "test" });
  context.after(async () => {
    client.close();
    await cluster.stop();
  });
  const folder = join(import.meta.dirname, "../../crds");
  const names: string[] = [];
  for (const file of readdirSync(folder)) {
    const object = parse(readFileSync(join(folder, file), "utf8"));
    names.push(object.metadata.name);
    await apply(client, { resource: definitions, object, fieldOwner: "test" });
  }
  await until("CompressionPolicy is served", async () => {
    await client.request({ method: "GET", path: pathOf(policies) });
    return true;
  });

  const create = (name: string, spec: object, dryRun = false): Promise<Policy> =>
    client.request({
      method: "POST",
      path: pathOf(policies),
      query: { fieldValidation: "Strict", ...(dryRun ? { dryRun: "All" } : {}) },
      body: { apiVersion: policies.apiVersion, kind: policies.kind, metadata: { name }, spec },
    });

  await context.test("every definition is structural and has its names", async () => {
    for (const name of names) {
      const { status } = await client.request<Definition>({ method: "GET", path: pathOf(definitions, { name }) });
      const about = (type: string): string | undefined => status.conditions.find((one) => one.type === type)?.status;
      assert.equal(about("NonStructuralSchema"), undefined, JSON.stringify(status.conditions));
      assert.equal(about("NamesAccepted"), "True", name);
    }
  });

  for (const [at, { what, spec }] of goodPolicies.entries()) {
    await context.test(`taken, with the schema's own defaults: ${what}`, async () => {
      const stored = await create(`good-${at}`, spec);
      assert.deepEqual(stored.spec, compressionPolicy.shape.spec.parse(spec));
    });
  }

  for (const { what, spec, at, says } of badPolicies) {
    await context.test(`refused, naming the field: ${what}`, async () => {
      await assert.rejects(create("bad", spec, true), (error) => {
        assert.ok(error instanceof ApiError && error.code === 422, String(error));
        const text = error.message;
        assert.ok(text.includes(`${at}: `), `${text} does not name ${at}`);
        assert.ok(typeof says === "string" ? text.includes(says) : says.test(text), text);
        return true;
      });
    });
  }

  await context.test("of any object, the schema and the API server say the same", async () => {
    const random = randomFrom(20261128);
    const taken = { yes: 0, no: 0 };
    for (let at = 0; at < 400; ++at) {
      const spec = randomSpec(random);
      const { success, error } = compressionPolicy.shape.spec.safeParse(spec);
      const answer = await create("random", spec, true).catch((refused: unknown) => refused);
      if (answer instanceof Error && !(answer instanceof ApiError && answer.code === 422)) throw answer;
      assert.equal(!(answer instanceof Error), success, `${JSON.stringify(spec)}\n${error}\n${answer}`);
      taken[success ? "yes" : "no"] += 1;
    }
    assert.ok(taken.yes > 50 && taken.no > 50, JSON.stringify(taken));
  });

  await context.test("a field that is not there is refused too, and a policy without spec", async () => {
    await assert.rejects(create("bad", { lossy: true }, true), /unknown field "spec\.lossy"/);
    await assert.rejects(
      client.request({ method: "POST", path: pathOf(policies), body: { ...policies, metadata: { name: "bad" } } }),
      /spec: Required value/,
    );
  });

  await context.test("the status is a resource of its own, with conditions merged by type", async () => {
    const conditions = withCondition(
      [],
      { type: "Applied", reason: "NodesBehind", message: "node7 does not answer", observedGeneration: 1 },
      "2026-11-28T12:00:00Z",
    );
    const status = {
      observedGeneration: 1,
      conditions,
      selects: "all pods",
      appliedPods: 12,
      ratio: "1.62",
      saved: "18Gi",
    };
    const patch = (wanted: object, fieldOwner: string): Promise<Policy> =>
      apply(client, {
        resource: policies,
        object: { metadata: { name: "good-0" }, status: wanted } as Policy,
        fieldOwner,
        subresource: "status",
      });
    await patch(status, "one");
    const other = withCondition(
      [],
      { type: "Conflicting", reason: "NoConflict", message: "", observedGeneration: 1 },
      "2026-11-28T12:00:01Z",
    );
    const both = await patch({ conditions: other }, "two");
    assert.deepEqual(compressionPolicy.parse(both).status?.conditions, [...conditions, ...other]);
    assert.equal(both.metadata?.generation, 1);
  });

  await context.test("kubectl get shows what it selects, how much it wins and whether it is applied", async () => {
    const { columnDefinitions, rows } = await table(cluster);
    const row = rows.find(({ cells }) => cells[0] === "good-0")?.cells ?? [];
    const shown = Object.fromEntries(columnDefinitions.map(({ name }, at) => [name, row[at]]));
    const { Age: age, ...rest } = shown;
    assert.ok(age);
    assert.deepEqual(rest, {
      Name: "good-0",
      Priority: 0,
      Selects: "all pods",
      Pods: 12,
      Nodes: null,
      Ratio: "1.62",
      Saved: "18Gi",
      Applied: "False",
      Behind: null,
      Degraded: null,
      Conflicting: "False",
      Suspended: false,
    });
  });

  await context.test("kubectl explain has a sentence for every field", async () => {
    const document = await until("the definition is in the API's own description", async () => {
      const answer = await client.request<OpenApi>({ method: "GET", path: "/openapi/v3/apis/loretoken.dev/v1alpha1" });
      return "dev.loretoken.v1alpha1.CompressionPolicy" in answer.components.schemas ? answer : false;
    });
    const schema = document.components.schemas["dev.loretoken.v1alpha1.CompressionPolicy"];
    const missing: string[] = [];
    let seen = 0;
    const visit = (at: OpenApiSchema, path: string): void => {
      for (const [name, property] of Object.entries(at.properties ?? {})) {
        seen += 1;
        if (!/^[A-Z].*\.$/s.test(property.description ?? "")) missing.push(`${path}.${name}`);
        visit(property, `${path}.${name}`);
        if (property.items !== undefined) visit(property.items, `${path}.${name}[]`);
      }
    };
    for (const part of ["spec", "status"]) visit(schema?.properties?.[part] ?? {}, part);
    assert.deepEqual(missing, []);
    assert.ok(seen > 50, `only ${seen} fields`);
  });
});

interface OpenApiSchema {
  description?: string;
  properties?: Record<string, OpenApiSchema>;
  items?: OpenApiSchema;
}

interface OpenApi {
  components: { schemas: Record<string, OpenApiSchema> };
}

interface Table {
  columnDefinitions: { name: string }[];
  rows: { cells: unknown[] }[];
}

/** As kubectl asks for it. */
async function table(cluster: Cluster): Promise<Table> {
  const config = await cluster.kubeConfig();
  const options: RequestOptions = { headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" } };
  await config.applyToHTTPSOptions(options);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${config.getCurrentCluster()?.server}${pathOf(policies)}`, options, resolve).on("error", reject);
  });
  return (await json(response)) as Table;
}
