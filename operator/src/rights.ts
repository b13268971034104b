/** What the operator may do at the API server: what the chart grants, and the end-to-end tests run under. */

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

export interface Rights {
  /** Of a Role in the operator's namespace. */
  readonly namespaced: readonly Rule[];
  /** Of a ClusterRole. */
  readonly cluster: readonly Rule[];
}

/** For certificates of an authority of our own; mounted ones need nothing. */
export function rightsFor({ secret, configuration }: { secret: string; configuration: string }): Rights {
  return {
    namespaced: [
      // A name cannot be said of what is not there yet.
      { apiGroups: [""], resources: ["secrets"], verbs: ["create"] },
      { apiGroups: [""], resources: ["secrets"], resourceNames: [secret], verbs: ["get", "patch"] },
    ],
    cluster: [
      {
        apiGroups: ["admissionregistration.k8s.io"],
        resources: ["mutatingwebhookconfigurations"],
        resourceNames: [configuration],
        verbs: ["get", "patch"],
      },
    ],
  };
}
