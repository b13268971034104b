/** The operator outside of a control plane, webhooks that lead to it, and a webhook that injects sidecars. */
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { Client, type KubeObject, pathOf, type Resource } from "@loretoken/kube";
import { rightsFor } from "@loretoken/operator/rights";
import {
  type MutatingWebhookConfiguration,
  mutatingWebhookConfigurations,
  webhookConfiguration,
} from "@loretoken/operator/webhook-configuration";
import { type Cluster, until } from "@loretoken/test-cluster";
import { diff } from "../../../operator/src/admission/json-patch.ts";
import type { Container, Pod } from "../../../operator/src/admission/pod.ts";
import { answer } from "../../../operator/src/admission/review.ts";
import { Authority } from "../../../operator/src/certificates/authority.ts";
import { Bundle, type OperatorProgram } from "../../../operator/src/testing/program.ts";
import { freePorts } from "../../cluster/src/cluster/ports.ts";

export const pods: Resource = { apiVersion: "v1", kind: "Pod", plural: "pods", namespaced: true };
export const deployments: Resource = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  plural: "deployments",
  namespaced: true,
};
const namespaces: Resource = { apiVersion: "v1", kind: "Namespace", plural: "namespaces", namespaced: false };
const accounts: Resource = { apiVersion: "v1", kind: "ServiceAccount", plural: "serviceaccounts", namespaced: true };

/** The operator's. */
export const account = "loretoken-operator";
export const rights = rightsFor({ secret: "loretoken-webhook-ca", configuration: "loretoken" });

export type LivePod = Pod & KubeObject;

export class AdmissionSetup {
  readonly client: Client;
  readonly namespace = "team";
  readonly operatorNamespace = "loretoken";
  readonly #cluster: Cluster;
  readonly #bundle = new Bundle();
  readonly #operators: OperatorProgram[] = [];
  readonly #port: number;
  #kubeconfig = "";

  private constructor(cluster: Cluster, client: Client, port: number) {
    this.#cluster = cluster;
    this.client = client;
    this.#port = port;
  }

  static async on(cluster: Cluster): Promise<AdmissionSetup> {
    const [port = 0] = await freePorts(1);
    const client = new Client({ config: await cluster.kubeConfig(), userAgent: "test", timeout: 10_000 });
    const setup = new AdmissionSetup(cluster, client, port);
    for (const name of [setup.namespace, setup.operatorNamespace]) {
      await client.request({ method: "POST", path: pathOf(namespaces), body: { metadata: { name } } });
    }
    for (const namespace of [setup.namespace, setup.operatorNamespace, "kube-system"]) {
      const path = pathOf(accounts, { namespace });
      await client.request({ method: "POST", path, body: { metadata: { name: "default" } } });
    }
    await setup.#grant();
    return setup;
  }

  /** The operator's account has its rights and no others. */
  async #grant(): Promise<void> {
    const { client, operatorNamespace: namespace } = this;
    const post = <T>(path: string, body: object): Promise<T> => client.request({ method: "POST", path, body });
    const metadata = { name: account };
    const subjects = [{ kind: "ServiceAccount", name: account, namespace }];
    const group = "rbac.authorization.k8s.io";
    await post(pathOf(accounts, { namespace }), { metadata });
    for (const [path, kind, rules] of [
      [`/apis/${group}/v1/namespaces/${namespace}/role`, "Role", rights.namespaced],
      [`/apis/${group}/v1/clusterrole`, "ClusterRole", rights.cluster],
    ] as const) {
      await post(`${path}s`, { metadata, rules });
      await post(`${path}bindings`, { metadata, subjects, roleRef: { apiGroup: group, kind, name: account } });
    }
    const path = pathOf(accounts, { namespace, name: account, subresource: "token" });
    const asked = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
    const { status } = await post<{ status: { token: string } }>(path, asked);
    const config = await this.#cluster.kubeConfig();
    config.users = [{ name: config.getCurrentUser()?.name ?? "", token: status.token }];
    this.#kubeconfig = join(this.#bundle.folder, "kubeconfig");
    writeFileSync(this.#kubeconfig, config.exportConfig(), { mode: 0o600 });
  }

  /** @param port other than the one that the webhook configuration leads to, for a second replica */
  async operator(flags: readonly string[] = [], port = this.#port): Promise<OperatorProgram> {
    const base = [
      `--listen=127.0.0.1:${port}`,
      "--pages=127.0.0.1:0",
      "--certificate-names=127.0.0.1",
      "--drain-seconds=0",
    ];
    const operator = this.#bundle.start([...base, "--check-seconds=0.5", ...flags], { KUBECONFIG: this.#kubeconfig });
    this.#operators.push(operator);
    await until("the operator serves", () => operator.ports !== undefined);
    return operator;
  }

  /** As the chart will have it, but for the URL. Waits until the API server uses it. */
  async configure(): Promise<void> {
    const client = { url: `https://127.0.0.1:${this.#port}/mutate-pods` };
    const body = webhookConfiguration({ name: "loretoken", namespace: this.operatorNamespace, client });
    await this.client.request({ method: "POST", path: pathOf(mutatingWebhookConfigurations), body });
    await this.admitted();
  }

  /** Waits until annotated pods get their memory: the API server has heard of webhook and authorities. */
  async admitted(): Promise<void> {
    await until("annotated pods are admitted", async () => {
      const pod = await this.create({ annotations: { "loretoken.dev/vram": "8Gi" } }, { dryRun: true });
      return unitsOf(pod).main === "8";
    });
  }

  async configuration(): Promise<MutatingWebhookConfiguration> {
    const path = pathOf(mutatingWebhookConfigurations, { name: "loretoken" });
    return this.client.request({ method: "GET", path });
  }

  async caBundle(): Promise<string> {
    return (await this.configuration()).webhooks?.[0]?.clientConfig.caBundle ?? "";
  }

  /** As someone with kubectl edit does it. */
  async vandalise(caBundle: string): Promise<void> {
    await this.client.request({
      method: "PATCH",
      path: pathOf(mutatingWebhookConfigurations, { name: "loretoken" }),
      contentType: "application/json-patch+json",
      body: [{ op: "replace", path: "/webhooks/0/clientConfig/caBundle", value: caBundle }],
    });
  }

  /** Creates a pod. @throws as Client.request */
  create(
    metadata: object,
    {
      spec = {},
      dryRun = false,
      namespace = this.namespace,
    }: { spec?: object; dryRun?: boolean; namespace?: string } = {},
  ): Promise<LivePod> {
    const containers = [{ name: "main", image: "registry/image:1" }];
    return this.client.request<LivePod>({
      method: "POST",
      path: pathOf(pods, { namespace }),
      query: { fieldValidation: "Strict", ...(dryRun ? { dryRun: "All" } : {}) },
      body: {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { generateName: "p-", ...metadata },
        spec: { containers, ...spec },
      },
    });
  }

  async close(): Promise<void> {
    for (const operator of this.#operators) await operator.end("SIGKILL");
    this.#bundle.remove();
    this.client.close();
    await this.#cluster.stop();
  }
}

/** Limits of loretoken.dev/vram by container; requests must be the same. */
export function unitsOf({ spec }: Pod): Record<string, unknown> {
  return Object.fromEntries(
    [...spec.containers, ...(spec.initContainers ?? [])].flatMap(({ name, resources }) => {
      const units = resources?.limits?.["loretoken.dev/vram"];
      if (units !== resources?.requests?.["loretoken.dev/vram"]) throw new Error(`${name}: requests are not limits`);
      return units === undefined ? [] : [[name, units]];
    }),
  );
}

/** Puts a container before all others, and tells kubectl which one was first: as Istio does. */
export class Injector {
  readonly #server: Server;
  readonly #client: Client;
  readonly #name: string;
  calls = 0;

  private constructor(server: Server, client: Client, name: string) {
    this.#server = server;
    this.#client = client;
    this.#name = name;
  }

  /** @param name of its configuration: API servers call webhooks in the order of these */
  static async start(client: Client, name: string, defaultContainer: boolean): Promise<Injector> {
    const times = { now: Date.now(), life: 3_600_000 };
    const authority = await Authority.create(times);
    const { certificate, key } = await authority.issue(["127.0.0.1"], times);
    const server = createServer({ cert: certificate, key });
    const injector = new Injector(server, client, name);
    server.on("request", async (request, response) => {
      injector.calls += 1;
      const review = answer(await json(request), ({ object }) => ({
        allowed: true,
        patch: diff(object, injected(object as Pod, defaultContainer)),
        warnings: [],
      }));
      response.end(JSON.stringify(review));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const caBundle = Buffer.from(authority.certificate).toString("base64");
    const body = webhookConfiguration({ name, namespace: "loretoken", client: { url }, caBundle });
    await client.request({ method: "POST", path: pathOf(mutatingWebhookConfigurations), body });
    return injector;
  }

  async stop(): Promise<void> {
    await this.#client.request({
      method: "DELETE",
      path: pathOf(mutatingWebhookConfigurations, { name: this.#name }),
    });
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

function injected(pod: Pod, defaultContainer: boolean): Pod {
  const { containers } = pod.spec;
  if (containers.some(({ name }) => name === "proxy")) return pod;
  const proxy = { name: "proxy", image: "registry/proxy:1" } as Container;
  const main = { "kubectl.kubernetes.io/default-container": containers[0]?.name ?? "" };
  const annotations = { ...(defaultContainer ? main : {}), ...pod.metadata?.annotations };
  return {
    ...pod,
    metadata: { ...pod.metadata, annotations },
    spec: { ...pod.spec, containers: [proxy, ...containers] },
  };
}
