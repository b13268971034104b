/**
 * All objects of a collection, page by page, as of one moment.
 *
 * No resourceVersion is asked for, which means the newest state. "0" would be cheaper on servers before 1.31, but it may be any old
 * state of a server's cache: after a reconnection to another server, objects would come back from the dead. Since 1.31 the newest
 * state too is answered from the cache, since 1.34 further pages as well; before, a selection of few objects (the pods of one
 * node) costs the server a walk through all.
 *
 * The streaming form of a list (`sendInitialEvents`) is not used: it saves memory of the server for very large collections, while
 * those here are a node's pods, policies and GpuNodes, and it needs this way beside it for servers that refuse it.
 */
import type { Client, Query } from "./client.ts";
import { hasCode } from "./errors.ts";
import { type KubeObject, pathOf, type Resource } from "./resource.ts";

export interface Selection {
  resource: Resource;
  /** Of a namespaced resource; all of them if left out. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

export interface ListOptions extends Selection {
  /** Objects per request. */
  pageSize?: number;
  signal?: AbortSignal;
}

export interface Listed<T> {
  items: T[];
  /** To watch from. */
  resourceVersion: string;
}

interface Page<T> {
  metadata?: { resourceVersion?: string; continue?: string };
  items?: T[] | null;
}

/**
 * @param keep what is kept of each object; of one page at a time the rest is in memory
 * @throws {ApiError}, {UnreachableError} as `Client.request`
 */
export async function list<T extends KubeObject, K>(
  client: Client,
  options: ListOptions,
  keep: (object: T) => K,
): Promise<Listed<K>> {
  const { pageSize = 500 } = options;
  try {
    return await listPages(client, options, pageSize, keep);
  } catch (error) {
    // The pages' moment was compacted away before the last one was read. All at once has no such moment.
    if (!hasCode(error, 410)) throw error;
    return await listPages(client, options, undefined, keep);
  }
}

async function listPages<T extends KubeObject, K>(
  client: Client,
  options: ListOptions,
  limit: number | undefined,
  keep: (object: T) => K,
): Promise<Listed<K>> {
  const { resource, signal } = options;
  const { apiVersion, kind } = resource;
  const items: K[] = [];
  let token: string | undefined;
  for (;;) {
    const page = await client.request<Page<T>>({
      method: "GET",
      path: pathOf(resource, placeOf(options)),
      query: { ...selectorsOf(options), limit, continue: token },
      ...(signal === undefined ? {} : { signal }),
    });
    // In a list, unlike in a watch, objects do not say what they are.
    for (const item of page.items ?? []) items.push(keep({ apiVersion, kind, ...item }));
    token = page.metadata?.continue || undefined;
    if (token === undefined) return { items, resourceVersion: page.metadata?.resourceVersion ?? "" };
  }
}

export function placeOf({ namespace }: Selection): { namespace?: string } {
  return namespace === undefined ? {} : { namespace };
}

export function selectorsOf({ labelSelector, fieldSelector }: Selection): Query {
  return { labelSelector, fieldSelector };
}
