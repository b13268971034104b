/**
 * Server-side apply: who applies states the fields that it owns, and the API server merges them with those of others. A field
 * that is no longer stated is given up.
 */
import type { Client } from "./client.ts";
import { hasCode } from "./errors.ts";
import { type KubeObject, pathOf, type Resource } from "./resource.ts";

/** Someone else owns fields that were to be applied. */
export class FieldConflictError extends Error {
  override name = "FieldConflictError";
  readonly conflicts: readonly { field: string; message: string }[];

  constructor(what: string, conflicts: readonly { field: string; message: string }[]) {
    super(`${what}: others own ${conflicts.map(({ field, message }) => `${field} (${message})`).join(", ")}`);
    this.conflicts = conflicts;
  }
}

export interface ApplyOptions<T extends KubeObject> {
  resource: Resource;
  /** With name, and nothing but the fields that the owner wants to hold. */
  object: T;
  /** Names the owner: one per controller and purpose, since applying gives up what is not stated. */
  fieldOwner: string;
  subresource?: "status" | "scale";
  /** Whether fields of others are taken over. Controllers do (the default); who edits on behalf of a person does not. */
  force?: boolean;
  signal?: AbortSignal;
}

/**
 * @returns the whole object as the server has it now
 * @throws {FieldConflictError} without `force`, if a field is someone else's; {ApiError}, {UnreachableError} as
 * `Client.request`: a status of an object that is not there is NotFound
 */
export async function apply<T extends KubeObject>(client: Client, options: ApplyOptions<T>): Promise<T> {
  const { resource, object, fieldOwner, subresource, force = true, signal } = options;
  const { name, namespace } = object.metadata ?? {};
  if (name === undefined) throw new RangeError(`${resource.kind}: an object without a name cannot be applied`);
  const at = {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(subresource === undefined ? {} : { subresource }),
  };
  try {
    return await client.request<T>({
      method: "PATCH",
      path: pathOf(resource, at),
      query: { fieldManager: fieldOwner, force, fieldValidation: "Strict" },
      contentType: "application/apply-patch+yaml",
      body: { ...object, apiVersion: resource.apiVersion, kind: resource.kind },
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (!hasCode(error, 409)) throw error;
    const causes = error.status.details?.causes?.filter(({ reason }) => reason === "FieldManagerConflict") ?? [];
    if (causes.length === 0) throw error;
    const conflicts = causes.map(({ field = "", message = "" }) => ({ field, message }));
    throw new FieldConflictError(`${resource.kind} ${name}`, conflicts);
  }
}
