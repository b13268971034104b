/** What the agent may do at the API server, and the kinds of objects that it reads and writes. */
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
  { apiGroups: [""], resources: ["nodes"], verbs: ["get", "list", "watch"] },
  { apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "watch"] },
  { apiGroups: [""], resources: ["namespaces"], verbs: ["list", "watch"] },
  { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
  { apiGroups: ["loretoken.dev"], resources: ["compressionpolicies"], verbs: ["list", "watch"] },
  { apiGroups: ["loretoken.dev"], resources: ["gpunodes"], verbs: ["create", "patch"] },
  { apiGroups: ["loretoken.dev"], resources: ["gpunodes/status"], verbs: ["patch"] },
];

const projectCrds = path.resolve(import.meta.dirname, "../../../crds");

/**
 * The custom resources, the agent's service account and its role; waits until all are in force.
 * @param crds the project's folder of that name, where this file does not lie in the project's tree
 */
export async function createAccount(config: KubeConfig, namespace: string, crds = projectCrds): Promise<void> {
  for (const plural of ["gpunodes", "compressionpolicies"]) {
    const file = path.join(crds, `loretoken.dev_${plural}.yaml`);
    const body = parse(readFileSync(file, "utf8")) as V1CustomResourceDefinition;
    await config.makeApiClient(ApiextensionsV1Api).createCustomResourceDefinition({ body });
    const { group, versions } = body.spec;
    const list = { group, version: versions[0]?.name ?? "", plural };
    await until(`${plural} are served`, async () => {
      await config.makeApiClient(CustomObjectsApi).listClusterCustomObject(list);
      return true;
    });
  }
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
