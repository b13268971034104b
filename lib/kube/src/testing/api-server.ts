/**
 * What tests need of an API server: objects by path with resource versions, create, read and merge patch as Kubernetes does
 * them, and faults on demand. It knows no field ownership: requests of other kinds are answered by `answer`.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import type { KubeObject } from "../resource.ts";

/** What happens to the next request: "lost": carried out, but the connection dies before the answer. */
export type Fault =
  | "reset"
  | "lost"
  | "silent"
  | "cut"
  | { code: number; reason?: string; headers?: Record<string, string> };

export interface Seen {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage["headers"];
  body: unknown;
}

type Answer = { code: number; body: unknown };

export class TestApiServer {
  readonly objects = new Map<string, KubeObject>();
  readonly seen: Seen[] = [];
  readonly faults: Fault[] = [];
  /** For requests that the store does not know. */
  answer: ((seen: Seen) => Answer | undefined) | undefined;
  #server: Server | undefined;
  #port = 0;
  readonly #sockets = new Set<Socket>();
  #version = 0;

  async start(): Promise<this> {
    const server = createServer((request, response) => void this.#serve(request, response));
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    return this;
  }

  /** As when it is killed: connections die, the port refuses. `start` brings it back with what it had stored. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  get config(): KubeConfig {
    return configFor(this.#port);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const seen = await read(request);
    this.seen.push(seen);
    const fault = this.faults.shift();
    if (fault === "silent") return;
    if (fault === "reset") return void request.socket.destroy();
    if (typeof fault === "object") return send(response, fault.code, status(fault.code, fault.reason), fault.headers);
    const { code, body } = this.#carryOut(seen);
    if (fault === "lost") return void request.socket.destroy();
    if (fault === "cut") {
      response.writeHead(code, { "content-type": "application/json", "content-length": 10_000 });
      response.write('{"half":', () => setTimeout(() => request.socket.destroy(), 20));
      return;
    }
    send(response, code, body);
  }

  #carryOut(seen: Seen): Answer {
    const special = this.answer?.(seen);
    if (special !== undefined) return special;
    if (seen.method === "POST") return this.#create(seen);
    const object = this.objects.get(seen.path);
    if (object === undefined) return { code: 404, body: status(404, "NotFound") };
    return seen.method === "PATCH" ? this.#patch(seen, object) : { code: 200, body: object };
  }

  #create(seen: Seen): Answer {
    const object = structuredClone(seen.body) as KubeObject;
    const path = `${seen.path}/${object.metadata?.name}`;
    if (this.objects.has(path)) return { code: 409, body: status(409, "AlreadyExists") };
    return { code: 201, body: this.#store(path, object) };
  }

  #patch(seen: Seen, object: KubeObject): Answer {
    const patch = seen.body as KubeObject;
    const expected = patch.metadata?.resourceVersion;
    if (expected !== undefined && expected !== object.metadata?.resourceVersion) {
      return { code: 409, body: status(409, "Conflict") };
    }
    return { code: 200, body: this.#store(seen.path, merge(object, patch) as KubeObject) };
  }

  #store(path: string, object: KubeObject): KubeObject {
    this.#version += 1;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
    this.objects.set(path, stored);
    return stored;
  }
}

export function configFor(port: number): KubeConfig {
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [{ name: "test", server: `http://127.0.0.1:${port}`, skipTLSVerify: true }],
    users: [{ name: "test", token: "secret" }],
    contexts: [{ name: "test", cluster: "test", user: "test" }],
    currentContext: "test",
  });
  return config;
}

function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const merged: Record<string, unknown> = { ...(target as Record<string, unknown> | undefined) };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = merge(merged[key], value);
  }
  return merged;
}

export function status(code: number, reason = ""): object {
  return { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message: `${reason} by the test` };
}

function send(response: ServerResponse, code: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(code, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

async function read(request: IncomingMessage): Promise<Seen> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString("utf8");
  const url = new URL(request.url ?? "/", "http://test");
  return {
    method: request.method ?? "",
    path: url.pathname,
    query: url.searchParams,
    headers: request.headers,
    body: text === "" ? undefined : JSON.parse(text),
  };
}
