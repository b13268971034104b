/**
 * One collection of an API server as reflectors see it: lists in pages, watches with bookmarks, history that can be forgotten,
 * and what goes wrong between a server and its clients.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { KubeConfig } from "@kubernetes/client-node";
import type { KubeObject } from "../resource.ts";
import { configFor, status } from "./api-server.ts";

export interface Thing extends KubeObject {
  value?: number;
  padding?: string;
}

interface Change {
  version: number;
  line: string;
}

/** Of one request: no answer at all, a broken connection, or an error's code. */
export type RequestFault = "none" | "silent" | "reset" | number;
/** Of open watches. */
export type WatchFault =
  | "reset"
  | "midLine"
  | "halfLine"
  | "end"
  | "garbage"
  | "noEvent"
  | "gone"
  | "internal"
  | "mute";

export const watchFaults: readonly WatchFault[] = [
  "reset",
  "midLine",
  "halfLine",
  "end",
  "garbage",
  "noEvent",
  "gone",
  "internal",
  "mute",
];

export class WatchServer {
  readonly objects = new Map<string, Thing>();
  /** For the next ones, in order. */
  readonly listFaults: RequestFault[] = [];
  readonly watchFaults: RequestFault[] = [];
  readonly lists: URLSearchParams[] = [];
  readonly watches: URLSearchParams[] = [];
  version = 100;
  #piece = 0;
  #forgotten = 0;
  #uid = 0;
  #history: Change[] = [];
  #port = 0;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #open = new Set<ServerResponse>();
  readonly #pages = new Map<string, { version: number; rest: Thing[] }>();

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

  /** As when it is killed. `start` brings it back with what it had. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  get config(): KubeConfig {
    return configFor(this.#port);
  }

  get watching(): number {
    return this.#open.size;
  }

  put(name: string, fields: { value?: number; padding?: string } = {}): Thing {
    const before = this.objects.get(name);
    this.version += 1;
    const uid = before?.metadata?.uid ?? `uid-${++this.#uid}`;
    const object: Thing = {
      metadata: { name, namespace: "test", uid, resourceVersion: String(this.version) },
      ...fields,
    };
    this.objects.set(name, object);
    this.#tell(before === undefined ? "ADDED" : "MODIFIED", object);
    return object;
  }

  delete(name: string): void {
    const object = this.objects.get(name);
    if (object === undefined) return;
    this.version += 1;
    this.objects.delete(name);
    this.#tell("DELETED", { ...object, metadata: { ...object.metadata, resourceVersion: String(this.version) } });
  }

  /** Who was away comes too late for what happened so far. */
  forget(): void {
    this.#forgotten = this.version;
    this.#history = [];
  }

  bookmark(): void {
    const object = { kind: "Thing", apiVersion: "v1", metadata: { resourceVersion: String(this.version) } };
    for (const response of this.#open) response.write(`${JSON.stringify({ type: "BOOKMARK", object })}\n`);
  }

  /** From now on lines come in pieces of so many bytes; whole if 0. */
  cutInto(bytes: number): void {
    this.#piece = bytes;
  }

  /** Happens to all watches that are open. */
  disturb(fault: WatchFault): void {
    for (const response of [...this.#open]) {
      this.#open.delete(response);
      disturbances[fault](response);
    }
  }

  #tell(type: string, object: Thing): void {
    const line = `${JSON.stringify({ type, object: { kind: "Thing", apiVersion: "v1", ...object } })}\n`;
    this.#history.push({ version: this.version, line });
    for (const response of this.#open) this.#write(response, line);
  }

  #write(response: ServerResponse, line: string): void {
    const bytes = Buffer.from(line);
    const step = this.#piece || bytes.length;
    for (let at = 0; at < bytes.length; at += step) response.write(bytes.subarray(at, at + step));
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const query = new URL(request.url ?? "/", "http://test").searchParams;
    const watch = query.get("watch") === "true";
    (watch ? this.watches : this.lists).push(query);
    const fault = (watch ? this.watchFaults : this.listFaults).shift();
    if (fault === "silent") return;
    if (fault === "reset") return void request.socket.destroy();
    if (fault !== undefined && fault !== "none")
      return void send(response, fault, status(fault, fault === 410 ? "Expired" : "Fault"));
    if (watch) this.#watch(response, Number(query.get("resourceVersion")));
    else this.#list(response, query);
  }

  #list(response: ServerResponse, query: URLSearchParams): void {
    const token = query.get("continue");
    const page =
      token === null
        ? { version: this.version, rest: [...this.objects.values()] }
        : (this.#pages.get(token) ?? undefined);
    if (page === undefined || page.version < this.#forgotten) return void send(response, 410, status(410, "Expired"));
    const limit = Number(query.get("limit") ?? page.rest.length);
    const next = page.rest.slice(limit);
    const metadata: Record<string, string> = { resourceVersion: String(page.version) };
    if (next.length > 0) {
      metadata.continue = `${page.version}-${next.length}`;
      this.#pages.set(metadata.continue, { version: page.version, rest: next });
    }
    send(response, 200, { kind: "ThingList", metadata, items: page.rest.slice(0, limit) });
  }

  #watch(response: ServerResponse, since: number): void {
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    if (since < this.#forgotten) {
      return void response.end(`${JSON.stringify({ type: "ERROR", object: status(410, "Expired") })}\n`);
    }
    response.on("close", () => this.#open.delete(response));
    for (const { version, line } of this.#history) if (version > since) this.#write(response, line);
    this.#open.add(response);
  }
}

const error = (code: number, reason: string): string =>
  `${JSON.stringify({ type: "ERROR", object: status(code, reason) })}\n`;

const disturbances: Record<WatchFault, (response: ServerResponse) => void> = {
  reset: (response) => void response.socket?.resetAndDestroy(),
  midLine: (response) => void response.write('{"type":"MODIFIED","obj', () => response.socket?.destroy()),
  halfLine: (response) => void response.end('{"type":"MODIFIED","obj'),
  end: (response) => void response.end(),
  garbage: (response) => void response.write("<html>502</html>\n"),
  noEvent: (response) => void response.write('{"type":"MODIFIED","object":null}\n'),
  gone: (response) => void response.write(error(410, "Gone")),
  internal: (response) => void response.write(error(500, "InternalError")),
  // The connection stays, and nothing comes any more.
  mute: () => {},
};

function send(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}
