/**
 * What the agent needs of an API server: collections with lists, watches and field selectors, single objects to read; what is written
 * is taken as it is, and forgotten. It can go away, and forget what was.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { KubeConfig } from "@kubernetes/client-node";
import { Client, type KubeObject } from "@loretoken/kube";
import { configFor, status } from "@loretoken/kube/testing";

const collections = ["compressionpolicies", "pods", "nodes", "namespaces"];

type Fields = Record<string, unknown> & { metadata?: Record<string, unknown> };

interface Change {
  readonly version: number;
  readonly plural: string;
  readonly type: string;
  readonly object: KubeObject;
}

interface Open {
  readonly plural: string;
  readonly selector: string;
  readonly response: ServerResponse;
}

export class TestCluster {
  /** Of requests, in order: "list pods spec.nodeName=n1". */
  readonly asked: string[] = [];
  readonly #objects = new Map<string, KubeObject>();
  readonly #sockets = new Set<Socket>();
  readonly #open = new Set<Open>();
  #history: Change[] = [];
  #forgotten = 0;
  #version = 100;
  #server: Server | undefined;
  #port = 0;

  async start(): Promise<this> {
    const server = createServer((request, response) => this.#serve(request, response));
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    return this;
  }

  /** As when it is killed; `start` brings it back with what it had. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  get config(): KubeConfig {
    return configFor(this.#port);
  }

  client(): Client {
    return new Client({ config: this.config, userAgent: "test", timeout: 2000 });
  }

  /** Makes or changes an object; a policy whose spec changes has the next generation. */
  put(plural: string, name: string, fields: Fields = {}): KubeObject {
    const { metadata = {}, ...rest } = fields;
    const key = `${plural}/${metadata.namespace ?? ""}/${name}`;
    const before = this.#objects.get(key);
    this.#version += 1;
    const same = before !== undefined && JSON.stringify(rest) === JSON.stringify(restOf(before));
    const made = {
      uid: `uid-${this.#version}`,
      generation: 1,
      creationTimestamp: new Date(Date.UTC(2026, 0, 1) + this.#version * 1000).toISOString().replace(".000", ""),
    };
    const kept = before?.metadata ?? made;
    const object = {
      ...rest,
      metadata: {
        uid: kept.uid,
        creationTimestamp: kept.creationTimestamp,
        generation: (kept.generation ?? 0) + (before === undefined || same ? 0 : 1),
        ...metadata,
        name,
        resourceVersion: String(this.#version),
      },
    } as KubeObject;
    this.#objects.set(key, object);
    this.#tell({ version: this.#version, plural, type: before === undefined ? "ADDED" : "MODIFIED", object });
    return object;
  }

  delete(plural: string, name: string, namespace = ""): void {
    const key = `${plural}/${namespace}/${name}`;
    const object = this.#objects.get(key);
    if (object === undefined) throw new Error(`there is no ${key}`);
    this.#objects.delete(key);
    this.#version += 1;
    const last = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
    this.#tell({ version: this.#version, plural, type: "DELETED", object: last });
  }

  /** Whoever watches has to list again. */
  forget(): void {
    this.#forgotten = this.#version;
    this.#history = [];
    for (const { response } of this.#open) response.socket?.destroy();
  }

  #tell(change: Change): void {
    this.#history.push(change);
    for (const open of this.#open) this.#write(open, change);
  }

  #write({ plural, selector, response }: Open, { plural: changed, type, object }: Change): void {
    if (plural !== changed || !selects(selector, object)) return;
    response.write(`${JSON.stringify({ type, object })}\n`);
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://test");
    const plural = url.pathname.split("/").at(-1) ?? "";
    if (request.method !== "GET") taken(request, response);
    else if (collections.includes(plural)) this.#collection(url, plural, response);
    else this.#read(url.pathname, response);
  }

  #collection(url: URL, plural: string, response: ServerResponse): void {
    const selector = url.searchParams.get("fieldSelector") ?? "";
    const watch = url.searchParams.get("watch") === "true";
    this.asked.push(`${watch ? "watch" : "list"} ${plural} ${selector}`.trim());
    if (watch) {
      this.#watch({ plural, selector, response }, Number(url.searchParams.get("resourceVersion")));
      return;
    }
    const items = [...this.#objects]
      .filter(([key, object]) => key.startsWith(`${plural}/`) && selects(selector, object))
      .map(([, object]) => object);
    answer(response, 200, { metadata: { resourceVersion: String(this.#version) }, items });
  }

  /** "/api/v1/namespaces/team/pods/p", "/api/v1/nodes/n1" */
  #read(path: string, response: ServerResponse): void {
    const [, namespace = "", plural, name] = /(?:\/namespaces\/([^/]+))?\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
    const object = this.#objects.get(`${plural}/${namespace}/${name}`);
    answer(response, object === undefined ? 404 : 200, object ?? status(404, "NotFound"));
  }

  #watch(open: Open, since: number): void {
    const { response } = open;
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    if (since < this.#forgotten) {
      response.end(`${JSON.stringify({ type: "ERROR", object: status(410, "Expired") })}\n`);
      return;
    }
    response.on("close", () => this.#open.delete(open));
    for (const change of this.#history) if (change.version > since) this.#write(open, change);
    this.#open.add(open);
  }
}

function taken(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => answer(response, 200, JSON.parse(Buffer.concat(chunks).toString("utf8"))));
}

function answer(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

function restOf(object: KubeObject): object {
  const { metadata: _, ...rest } = object;
  return rest;
}

/** "metadata.name=n1", "spec.nodeName=n1". */
function selects(selector: string, object: KubeObject): boolean {
  if (selector === "") return true;
  const [path = "", value] = selector.split("=");
  const found = path
    .split(".")
    .reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], object);
  return found === value;
}
