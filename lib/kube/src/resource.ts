/** Kinds of objects and where the API server keeps them. */

export interface Resource {
  /** "v1", "apps/v1", "loretoken.dev/v1alpha1". */
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

export interface ObjectMeta {
  name?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  creationTimestamp?: string;
  deletionTimestamp?: string;
  finalizers?: string[];
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata?: ObjectMeta;
}

/**
 * The path of an object, or of the collection if no name is given.
 * @throws {RangeError} if a namespaced object is named without its namespace.
 */
export function pathOf(
  resource: Resource,
  at: { namespace?: string; name?: string; subresource?: string } = {},
): string {
  const root = resource.apiVersion.includes("/") ? "/apis" : "/api";
  const parts = [root, resource.apiVersion];
  if (resource.namespaced && at.namespace !== undefined) parts.push("namespaces", encodeURIComponent(at.namespace));
  else if (resource.namespaced && at.name !== undefined) {
    throw new RangeError(`${resource.kind} ${at.name} lives in a namespace, none was given`);
  }
  parts.push(resource.plural);
  if (at.name !== undefined) parts.push(encodeURIComponent(at.name));
  if (at.subresource !== undefined) parts.push(at.subresource);
  return parts.join("/");
}
