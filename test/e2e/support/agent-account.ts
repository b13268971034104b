/** What the agent may do at the API server, and the kind of object that it writes. */
import { readFileSync } from "node:fs";
import path from "node:path";
import {
  ApiextensionsV1Api,
  CoreV1Api,
  CustomObjectsApi,
  type KubeConfig,
  RbacAuthorizationV1Api,
  type V1CustomResourceDefinition,
  type V1PolicyRule,
} from "@kubernetes/client-node";
import { until } from "@loretoken/test-cluster";
import { parse } from "yaml";

/** Every verb is in use: agent-reporting.test.ts compares with the audit log. */
export const agentRules: readonly V1PolicyRule[] = [
  { apiGroups: [""], resources: ["nodes"], verbs: ["get"] },
  { apiGroups: [""], resources: ["pods"], verbs: ["get"] },
  { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
  { apiGroups: ["loretoken.dev"], resources: ["gpunodes"], verbs: ["create", "patch"] },
  { apiGroups: ["loretoken.dev"], resources: ["gpunodes/status"], verbs: ["patch"] },
];

const projectCrds = path.resolve(import.meta.dirname, "../../../crds");

/**
 * The custom resource, the agent's service account and its role; waits until all are in force.
 * @param crds the project's folder of that name, where this file does not lie in the project's tree
 */
export async function createAccount(config: KubeConfig, namespace: string, crds = projectCrds): Promise<void> {
  const file = path.join(crds, "loretoken.dev_gpunodes.yaml");
  const body = parse(readFileSync(file, "utf8")) as V1CustomResourceDefinition;
  await config.makeApiClient(ApiextensionsV1Api).createCustomResourceDefinition({ body });
  const { group, versions, names } = body.spec;
  const list = { group, version: versions[0]?.name ?? "", plural: names.plural };
  await until("GpuNode is served", async () => {
    await config.makeApiClient(CustomObjectsApi).listClusterCustomObject(list);
    return true;
  });
  const metadata = { name: "agent" };
  await config.makeApiClient(CoreV1Api).createNamespacedServiceAccount({ namespace, body: { metadata } });
  const rbac = config.makeApiClient(RbacAuthorizationV1Api);
  await rbac.createClusterRole({ body: { metadata, rules: [...agentRules] } });
  await rbac.createClusterRoleBinding({
    body: {
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "agent" },
      subjects: [{ kind: "ServiceAccount", name: "agent", namespace }],
    },
  });
}
