/** The MutatingWebhookConfiguration that brings annotated pods here, and no others. */
import { annotations, group } from "@loretoken/api";
import type { KubeObject, Resource } from "@loretoken/kube";

export const mutatingWebhookConfigurations: Resource = {
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "MutatingWebhookConfiguration",
  plural: "mutatingwebhookconfigurations",
  namespaced: false,
};

/** The path that pods are reviewed at. */
export const podsPath = "/mutate-pods";
/** The webhook's name within its configuration. */
export const podsWebhook = `pods.${group}`;

export type ClientConfig =
  | { readonly url: string }
  | { readonly service: { readonly name: string; readonly namespace: string; readonly port?: number } };

export interface WebhookOptions {
  readonly name: string;
  /** The operator's own; its pods do not wait for it. */
  readonly namespace: string;
  readonly client: ClientConfig;
  /** Where the webhook does not answer, annotated pods are refused (Fail), or run without LoreToken (Ignore). */
  readonly failurePolicy?: "Fail" | "Ignore";
  /** Seconds, 1 to 30. */
  readonly timeoutSeconds?: number;
  /** Base64 of PEM; left out: the operator fills it in. */
  readonly caBundle?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface MutatingWebhookConfiguration extends KubeObject {
  readonly webhooks?: readonly MutatingWebhook[];
}

export interface MutatingWebhook {
  readonly name: string;
  readonly clientConfig: { readonly caBundle?: string; readonly url?: string; readonly service?: object };
  readonly [field: string]: unknown;
}

export function webhookConfiguration(options: WebhookOptions): MutatingWebhookConfiguration {
  const { name, namespace, client, failurePolicy = "Fail", timeoutSeconds = 5, caBundle, labels } = options;
  const reached = "service" in client ? { service: { port: 443, ...client.service, path: podsPath } } : client;
  return {
    apiVersion: mutatingWebhookConfigurations.apiVersion,
    kind: mutatingWebhookConfigurations.kind,
    metadata: { name, ...(labels === undefined ? {} : { labels: { ...labels } }) },
    webhooks: [
      {
        name: podsWebhook,
        clientConfig: { ...reached, ...(caBundle === undefined ? {} : { caBundle }) },
        rules: [
          { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"], scope: "Namespaced" },
        ],
        // Decided by the API server: a pod without the annotation is made though nothing of ours runs.
        matchConditions: [
          {
            name: "annotated",
            expression: `has(object.metadata.annotations) && '${annotations.vram}' in object.metadata.annotations`,
          },
        ],
        namespaceSelector: {
          matchExpressions: [
            { key: "kubernetes.io/metadata.name", operator: "NotIn", values: ["kube-system", namespace] },
          ],
        },
        matchPolicy: "Equivalent",
        failurePolicy,
        reinvocationPolicy: "IfNeeded",
        sideEffects: "None",
        timeoutSeconds,
        admissionReviewVersions: ["v1"],
      },
    ],
  };
}
