/**
 * Server-side apply: who applies states the fields that it owns, and the API server merges them with those of others. A field
 * that is no longer stated is given up.
 */
import type { Requester } from "./client.ts";
import { hasCode } from "./errors.ts";
import { type KubeObject, pathOf, type Resource } from "./resource.ts";

/** A field that was to be applied, and who owns it. */
export interface FieldConflict {
  /** As in ".spec.replicas". */
  field: string;
  /** The other owner's name; empty if the server did not say. */
  manager: string;
  /** Through which the other one wrote it, if not the object itself: "status". */
  subresource: string | undefined;
  message: string;
}

/** Someone else owns fields that were to be applied. */
export class FieldConflictError extends Error {
  override name = "FieldConflictError";
  readonly conflicts: readonly FieldConflict[];

  constructor(what: string, conflicts: readonly FieldConflict[]) {
    super(`${what}: others own ${conflicts.map(({ field, message }) => `${field} (${message})`).join(", ")}`);
    this.conflicts = conflicts;
  }

  /** Each once. */
  get managers(): string[] {
    return [...new Set(this.conflicts.map(({ manager }) => manager))];
  }
}

export interface ApplyOptions<T extends KubeObject> {
  resource: Resource;
  /** With name, and nothing but the fields that the owner wants to hold. */
  object: T;
  /** Names the owner: one per controller and purpose, since applying gives up what is not stated. */
  fieldOwner: string;
  subresource?: "status" | "scale";
  /**
   * Whether fields of others are taken over. Controllers do (`true`, the default); who edits on behalf of a person does not
   * (`false`). `from`: only if all of them are owned by these, as by an earlier version of the program under another name.
   */
  force?: boolean | { from: readonly string[] };
  signal?: AbortSignal;
}

/**
 * @returns the whole object as the server has it now
 * @throws {FieldConflictError} if a field is someone else's and may not be taken over; {ApiError}, {UnreachableError} as
 * `Client.request`: a status of an object that is not there is NotFound; a `metadata.resourceVersion` that is not the
 * server's is Conflict
 */
export async function apply<T extends KubeObject>(client: Requester, options: ApplyOptions<T>): Promise<T> {
  const { force = true } = options;
  if (typeof force === "boolean") return applyOnce(client, options, force);
  try {
    return await applyOnce(client, options, false);
  } catch (error) {
    if (!(error instanceof FieldConflictError) || !error.managers.every((name) => force.from.includes(name)))
      throw error;
    return applyOnce(client, options, true);
  }
}

async function applyOnce<T extends KubeObject>(
  client: Requester,
  options: ApplyOptions<T>,
  force: boolean,
): Promise<T> {
  const { resource, object, fieldOwner, subresource, signal } = options;
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
    throw conflictOf(error, `${resource.kind} ${name}`) ?? error;
  }
}

function conflictOf(error: unknown, what: string): FieldConflictError | undefined {
  if (!hasCode(error, 409)) return undefined;
  const causes = error.status.details?.causes?.filter(({ reason }) => reason === "FieldManagerConflict") ?? [];
  if (causes.length === 0) return undefined;
  const conflicts = causes.map(({ field = "", message = "" }) => ({ field, ...ownerIn(message), message }));
  return new FieldConflictError(what, conflicts);
}

/** The server names the owner only in words: conflict with "kubectl" with subresource "status" using v1. */
function ownerIn(message: string): { manager: string; subresource: string | undefined } {
  const match = /conflict with ("(?:[^"\\]|\\.)*")(?: with subresource "([^"]*)")?/.exec(message);
  return { manager: match?.[1] === undefined ? "" : unquoted(match[1]), subresource: match?.[2] };
}

function unquoted(text: string): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    return text.slice(1, -1); // Go's escapes are more than JSON's
  }
}
