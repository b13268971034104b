/** What changed between two JSON values, as a JSON Patch (RFC 6902). */

export type Operation =
  | { readonly op: "add" | "replace"; readonly path: string; readonly value: unknown }
  | { readonly op: "remove"; readonly path: string };

/**
 * Operations that make `after` of `before`, in order; none if they are equal. Lists are compared place by place: what was put in
 * at the front costs an operation for each place behind it.
 */
export function diff(before: unknown, after: unknown, path = ""): Operation[] {
  if (before === after) return [];
  if (Array.isArray(before) && Array.isArray(after)) return diffOfLists(before, after, path);
  if (isObject(before) && isObject(after)) return diffOfObjects(before, after, path);
  return [{ op: "replace", path, value: after }];
}

function diffOfLists(before: readonly unknown[], after: readonly unknown[], path: string): Operation[] {
  const common = Math.min(before.length, after.length);
  const changes = before.slice(0, common).flatMap((value, at) => diff(value, after[at], `${path}/${at}`));
  const added = after.slice(common).map((value): Operation => ({ op: "add", path: `${path}/-`, value }));
  const removed = before.slice(common).map((_, at): Operation => ({ op: "remove", path: `${path}/${common + at}` }));
  return [...changes, ...added, ...removed.reverse()];
}

function diffOfObjects(before: JsonObject, after: JsonObject, path: string): Operation[] {
  const operations: Operation[] = [];
  for (const key of Object.keys(before)) {
    const at = `${path}/${escapeToken(key)}`;
    if (Object.hasOwn(after, key)) operations.push(...diff(before[key], after[key], at));
    else operations.push({ op: "remove", path: at });
  }
  for (const [key, value] of Object.entries(after)) {
    if (!Object.hasOwn(before, key)) operations.push({ op: "add", path: `${path}/${escapeToken(key)}`, value });
  }
  return operations;
}

type JsonObject = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** "loretoken.dev/vram" is "loretoken.dev~1vram" in a path. */
function escapeToken(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}
