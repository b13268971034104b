/** The admission webhook on a real API server: the operator a process outside. Needs no rights. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { ApiError, hasCode, pathOf } from "@loretoken/kube";
import { Cluster, needsOwnCluster, until } from "@loretoken/test-cluster";
import { randomFrom } from "../../lib/api/src/testing/random.ts";
import type { Container } from "../../operator/src/admission/pod.ts";
import type { OperatorProgram } from "../../operator/src/testing/program.ts";
import { AdmissionSetup, deployments, Injector, pods, unitsOf } from "./support/admission.ts";

const vram = "loretoken.dev/vram";
const annotated = { annotations: { [vram]: "8Gi" } };
const gpu = { limits: { "nvidia.com/gpu": "1" } };
const container = (name: string, more: object = {}) => ({ name, image: "registry/image:1", ...more });

test("the webhook on a real API server", { skip: needsOwnCluster }, async (context) => {
  const cluster = await Cluster.start({ kind: "control", name: "webhook" });
  const setup = await AdmissionSetup.on(cluster);
  context.after(() => setup.close());
  const operator = await setup.operator();
  await setup.configure();

  await context.test("what pods get", (inner) => admission(inner, setup));
  await context.test("beside other webhooks", (inner) => injectors(inner, setup, operator));
  await context.test("when it is not there", (inner) => absence(inner, setup, cluster, operator));
});

async function admission(context: TestContext, setup: AdmissionSetup): Promise<void> {
  await context.test("a bare pod gets resource, hints and label; one without annotation nothing", async () => {
    const pod = await setup.create(annotated);
    assert.deepEqual(unitsOf(pod), { main: "8" });
    assert.equal(pod.metadata?.labels?.["loretoken.dev/managed"], "true");
    assert.ok(pod.spec.containers[0]?.env?.some(({ name }) => name === "PYTORCH_ALLOC_CONF"));
    const plain = await setup.create({ annotations: { "team/other": "x" } });
    assert.deepEqual(
      [unitsOf(plain), plain.spec.containers[0]?.env, plain.metadata?.labels],
      [{}, undefined, undefined],
    );
    assert.deepEqual(unitsOf(await setup.create({})), {});
  });

  await context.test("a Deployment's template stays as it is; the pods that are made of it are changed", async () => {
    const template = { metadata: { ...annotated, labels: { app: "a" } }, spec: { containers: [container("main")] } };
    const made = await setup.client.request<{ spec: { template: typeof template }; metadata: { uid: string } }>({
      method: "POST",
      path: pathOf(deployments, { namespace: setup.namespace }),
      body: { metadata: { name: "train" }, spec: { selector: { matchLabels: { app: "a" } }, template } },
    });
    assert.deepEqual(made.spec.template.spec.containers[0] && "env" in made.spec.template.spec.containers[0], false);
    assert.deepEqual(made.spec.template.metadata.labels, { app: "a" });
    const owner = {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      name: "train-1",
      uid: made.metadata.uid,
      controller: true,
    };
    const { metadata, spec } = template;
    const pod = await setup.create({ ...metadata, generateName: "train-1-", ownerReferences: [owner] }, { spec });
    assert.deepEqual(unitsOf(pod), { main: "8" });
    assert.deepEqual(pod.metadata?.labels, { app: "a", "loretoken.dev/managed": "true" });
  });

  await context.test("init and sidecar containers, as the API server takes them", async () => {
    const initContainers = [container("once"), container("beside", { restartPolicy: "Always" })];
    for (const name of ["once", "beside", "main"]) {
      const annotations = { ...annotated.annotations, "loretoken.dev/container": name };
      const pod = await setup.create({ annotations }, { spec: { initContainers, containers: [container("main")] } });
      assert.deepEqual(unitsOf(pod), { [name]: "8" });
    }
  });

  await context.test("a server-side dry run shows the same and leaves nothing", async () => {
    const pod = await setup.create({ ...annotated, name: "dry" }, { dryRun: true });
    assert.deepEqual(unitsOf(pod), { main: "8" });
    const path = pathOf(pods, { namespace: setup.namespace, name: "dry" });
    await assert.rejects(setup.client.request({ method: "GET", path }), (error) => hasCode(error, 404));
  });

  await context.test("a refusal is what kubectl shows: annotation, value, what is allowed", async () => {
    await assert.rejects(setup.create({ annotations: { [vram]: "lots" } }), (error) => {
      assert.ok(error instanceof ApiError && error.code === 422, String(error));
      assert.equal(
        error.status.message,
        'admission webhook "pods.loretoken.dev" denied the request: annotation loretoken.dev/vram: "lots" is not allowed; allowed: a Kubernetes quantity from 1Mi to 64Ti, such as 40Gi',
      );
      return true;
    });
  });

  await context.test("beside nvidia.com/gpu: refused with the way out, or replaced", async () => {
    const spec = { containers: [container("a"), container("main", { resources: gpu })] };
    await assert.rejects(setup.create(annotated, { spec }), /loretoken.dev\/replace-gpu: "true" to have it taken out/);
    const annotations = { ...annotated.annotations, "loretoken.dev/replace-gpu": "true" };
    const pod = await setup.create({ annotations }, { spec });
    const only = { [vram]: "8" };
    assert.deepEqual(pod.spec.containers[1]?.resources, { limits: only, requests: only });
  });

  await context.test("rounding is told as a warning", async () => {
    const response = await setup.client.open({
      method: "POST",
      path: pathOf(pods, { namespace: setup.namespace }),
      query: { dryRun: "All" },
      body: { metadata: { name: "w", annotations: { [vram]: "1.5Gi" } }, spec: { containers: [container("main")] } },
    });
    response.resume();
    assert.match(String(response.headers.warning), /is rounded up to 2Gi/);
  });

  await context.test("pods of kube-system and of the operator's namespace do not come here", async () => {
    for (const namespace of ["kube-system", setup.operatorNamespace]) {
      assert.deepEqual(unitsOf(await setup.create({ annotations: { [vram]: "lots" } }, { namespace })), {});
    }
  });

  await context.test("ephemeral containers come later and are left alone", async () => {
    const { metadata } = await setup.create(annotated);
    const path = pathOf(pods, {
      namespace: setup.namespace,
      name: metadata?.name ?? "",
      subresource: "ephemeralcontainers",
    });
    const debug = container("debug", { terminationMessagePolicy: "File" });
    const pod = await setup.client.request<{ spec: { ephemeralContainers: Container[] } }>({
      method: "PATCH",
      path,
      contentType: "application/strategic-merge-patch+json",
      body: { spec: { ephemeralContainers: [debug] } },
    });
    assert.deepEqual(
      [pod.spec.ephemeralContainers[0]?.name, pod.spec.ephemeralContainers[0]?.env],
      ["debug", undefined],
    );
  });
}

async function reviewed(operator: OperatorProgram): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${operator.ports?.pages}/metrics`)).text();
  const counts = page.matchAll(/^loretoken_admission_requests_total\{[^}]*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

async function injectors(context: TestContext, setup: AdmissionSetup, operator: OperatorProgram): Promise<void> {
  const withInjector = async (name: string, defaultContainer: boolean, work: () => Promise<void>): Promise<void> => {
    const injector = await Injector.start(setup.client, name, defaultContainer);
    try {
      await until("it injects", async () => {
        const { spec } = await setup.create(annotated, { dryRun: true });
        return spec.containers[0]?.name === "proxy";
      });
      await work();
    } finally {
      await injector.stop();
    }
    await until(
      "it injects no more",
      async () => (await setup.create(annotated, { dryRun: true })).spec.containers.length === 1,
    );
  };

  await context.test("one after it: called again, it changes nothing more", () =>
    withInjector("z-injector", false, async () => {
      const before = await reviewed(operator);
      const pod = await setup.create(annotated);
      assert.equal((await reviewed(operator)) - before, 2);
      assert.deepEqual(
        pod.spec.containers.map(({ name }) => name),
        ["proxy", "main"],
      );
      assert.deepEqual(unitsOf(pod), { main: "8" });
      assert.equal(pod.spec.containers[0]?.env, undefined);
    }),
  );

  await context.test("one before it, that says which container was first", () =>
    withInjector("a-injector", true, async () => {
      const pod = await setup.create(annotated);
      assert.deepEqual(
        pod.spec.containers.map(({ name }) => name),
        ["proxy", "main"],
      );
      assert.deepEqual(unitsOf(pod), { main: "8" });
    }),
  );

  await context.test("one before it, and a container that asks for a GPU", () =>
    withInjector("a-injector", false, async () => {
      const annotations = { ...annotated.annotations, "loretoken.dev/replace-gpu": "true" };
      const spec = { containers: [container("other"), container("main", { resources: gpu })] };
      assert.deepEqual(unitsOf(await setup.create({ annotations }, { spec })), { main: "8" });
    }),
  );
}

async function absence(
  context: TestContext,
  setup: AdmissionSetup,
  cluster: Cluster,
  first: OperatorProgram,
): Promise<void> {
  let operator = first;
  await context.test("pods without annotation are made, annotated ones refused, at once", async () => {
    await first.end("SIGKILL");
    const begin = performance.now();
    assert.deepEqual(unitsOf(await setup.create({})), {});
    await assert.rejects(setup.create(annotated), /failed calling webhook "pods.loretoken.dev"/);
    assert.ok(performance.now() - begin < 4000);
  });

  await context.test("started again it goes on with the same authority", async () => {
    const bundle = await setup.caBundle();
    operator = await setup.operator();
    await setup.admitted();
    assert.equal(await setup.caBundle(), bundle);
  });

  await context.test("one that hangs costs annotated pods its time limit, others nothing", async () => {
    operator.pause();
    context.after(() => operator.resume());
    const begin = performance.now();
    await setup.create({});
    assert.ok(performance.now() - begin < 2000);
    await assert.rejects(setup.create(annotated), /context deadline exceeded|Timeout/);
    operator.resume();
    await setup.admitted();
  });

  await context.test("a caBundle that someone edited is repaired", async () => {
    const right = await setup.caBundle();
    await setup.vandalise(Buffer.from("-----BEGIN CERTIFICATE-----").toString("base64"));
    await until("repaired", async () => (await setup.caBundle()) === right, { timeoutMs: 5000, everyMs: 50 });
    await setup.admitted();
    const { metadata } = await setup.configuration();
    const owners = (metadata as { managedFields: { manager: string; fieldsV1: object }[] }).managedFields;
    const ours = owners.find(({ manager }) => manager === "loretoken-certificates");
    const caBundle = { "f:clientConfig": { "f:caBundle": {} } };
    const webhook = { 'k:{"name":"pods.loretoken.dev"}': { ".": {}, "f:name": {}, ...caBundle } };
    assert.deepEqual(ours?.fieldsV1, { "f:webhooks": webhook }, "that it owns, and nothing else");
  });

  await context.test("the API server killed and started again", async () => {
    await cluster.components.apiServer.kill();
    await cluster.components.apiServer.start();
    await cluster.apiReady();
    await setup.admitted();
    const right = await setup.caBundle();
    await setup.vandalise("");
    await until("repaired", async () => (await setup.caBundle()) === right, { timeoutMs: 20_000 });
    await setup.admitted();
    const random = randomFrom(7);
    for (let each = 0; each < 20; ++each) {
      const units = 1 + Math.floor(random() * 100);
      const pod = await setup.create({ annotations: { [vram]: `${units}Gi` } }, { dryRun: true });
      assert.deepEqual(unitsOf(pod), { main: String(units) });
    }
  });
}
