/** The agent's reporting under a role that lists exactly what it does: a verb too few fails it, and so does one too many. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gpuNodeResource } from "@loretoken/api";
import { apply, Client, type CoreEvent, eventResource, type KubeObject, pathOf, type Resource } from "@loretoken/kube";
import { TelemetryBytes } from "@loretoken/telemetry/testing";
import { Cluster, needsOwnCluster, until } from "@loretoken/test-cluster";
import { parse } from "yaml";
import { Reporting } from "../../device-plugin/src/reporting/index.ts";
import { Node, owner } from "../../device-plugin/src/reporting/testing/node.ts";

/** What the chart has to give the agent for reporting. */
const rules = [
  { apiGroups: [""], resources: ["events"], verbs: ["create", "get", "patch"] },
  { apiGroups: [""], resources: ["nodes"], verbs: ["get"] },
  { apiGroups: [""], resources: ["pods"], verbs: ["get"] },
  { apiGroups: ["loretoken.dev"], resources: ["gpunodes"], verbs: ["create", "patch"] },
  { apiGroups: ["loretoken.dev"], resources: ["gpunodes/status"], verbs: ["patch"] },
];

const resource = (apiVersion: string, kind: string, plural: string, namespaced = false): Resource => ({
  apiVersion,
  kind,
  plural,
  namespaced,
});
const namespaces = resource("v1", "Namespace", "namespaces");
const accounts = resource("v1", "ServiceAccount", "serviceaccounts", true);
const roles = resource("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles");
const bindings = resource("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings");
const definitions = resource("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions");
const pods = resource("v1", "Pod", "pods", true);
const account = "loretoken-agent";

test("reporting does what its role says, all of it and nothing else", { skip: needsOwnCluster }, async (context) => {
  const cluster = await Cluster.start({ kind: "control", name: "reporting-roles", audit: true });
  const admin = new Client({ config: await cluster.kubeConfig(), userAgent: "test" });
  const running: Reporting[] = [];
  context.after(async () => {
    for (const reporting of running) await reporting.stop(); // again, for those that were stopped
    admin.close();
    await cluster.stop();
  });
  const make = (of: Resource, metadata: KubeObject["metadata"], more: object = {}): Promise<KubeObject> =>
    apply(admin, { resource: of, object: { metadata: metadata ?? {}, ...more }, fieldOwner: "test" });
  await make(namespaces, { name: owner.namespace });
  await make(accounts, { name: account, namespace: "default" });
  await make(accounts, { name: "default", namespace: owner.namespace });
  await make(roles, { name: account }, { rules });
  await make(
    bindings,
    { name: account },
    {
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: account },
      subjects: [{ kind: "ServiceAccount", name: account, namespace: "default" }],
    },
  );
  const crd = parse(readFileSync(join(import.meta.dirname, "../../crds/loretoken.dev_gpunodes.yaml"), "utf8"));
  await apply(admin, { resource: definitions, object: crd, fieldOwner: "test" });
  await until("GpuNode is served", async () => {
    await admin.request({ method: "GET", path: pathOf(gpuNodeResource) });
    return true;
  });
  const containers = [{ name: owner.container, image: "none" }];
  const pod = await make(pods, { name: owner.pod, namespace: owner.namespace }, { spec: { containers } });

  const token = await admin.request<{ status: { token: string } }>({
    method: "POST",
    path: pathOf(accounts, { namespace: "default", name: account, subresource: "token" }),
    body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} },
  });
  const start = async (node: Node): Promise<Reporting> => {
    const config = await cluster.kubeConfig();
    config.users = [{ name: config.getCurrentUser()?.name ?? "", token: token.status.token }];
    const client = new Client({ config, userAgent: "loretoken-agent" });
    const { holdings } = node;
    const reporting = new Reporting({
      version: "1.2.3",
      node: "node1",
      client,
      holdings: () => holdings,
      gpus: () => [],
      log: node.log,
      pollEvery: 1000,
    });
    reporting.start();
    running.push(reporting);
    return reporting;
  };

  const node = new Node(context);
  const first = await start(node);
  const podUid = await first.podUid(owner.namespace, owner.pod);
  assert.equal(podUid, pod.metadata?.uid);
  await first.stop();
  const holding = node.hold("a", { owner: { ...owner, podUid } });
  const file = new TelemetryBytes();
  const count = async (): Promise<number | undefined> => {
    const path = pathOf(eventResource, { namespace: owner.namespace });
    const { items } = await admin.request<{ items: CoreEvent[] }>({ method: "GET", path });
    return items[0]?.count;
  };
  for (const second of [1, 2]) {
    node.place(holding, file.event(1_700_000_000 + second, { guard: 4, to_mode: 1, figure: 150, limit: 100 }));
    const agent = await start(node);
    await until("counted", async () => (await count()) === second);
    await until("GpuNode written", async () => {
      const path = pathOf(gpuNodeResource, { name: "node1" });
      return (await admin.request<{ status?: object }>({ method: "GET", path })).status !== undefined;
    });
    await agent.stop();
  }

  assert.deepEqual(
    node.log.lines.filter(({ level }) => level !== "debug"),
    [],
  );
  const used = readFileSync(cluster.control.auditLog, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter(({ user, stage }) => user.username.endsWith(`:${account}`) && stage === "ResponseComplete");
  const granted = rules.flatMap(({ apiGroups: [group], resources: [name], verbs }) =>
    verbs.map((verb) => `${verb} ${group}/${name}`),
  );
  const verbs = used.map(({ verb, objectRef: { apiGroup = "", resource: name, subresource } }) => {
    return `${verb} ${apiGroup}/${name}${subresource === undefined ? "" : `/${subresource}`}`;
  });
  // Applying an object that is not there is a patch that needs the right to create.
  assert.deepEqual(new Set([...verbs, "create loretoken.dev/gpunodes"]), new Set(granted));
});
