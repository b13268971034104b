/**
 * Requests to the API server as a kubeconfig or a pod's service account says, over connections that are kept. One request is
 * one try: who wants more wraps it in `retry`.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { ApiError, type Status, UnreachableError } from "./errors.ts";

export type Query = Record<string, string | number | boolean | undefined>;

export interface Call {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** As `pathOf` gives it. */
  path: string;
  query?: Query;
  body?: unknown;
  /** Of the body; says which kind of patch it is. */
  contentType?: string;
  /** Milliseconds without a byte after which the request is given up, if not the client's. */
  timeout?: number;
  signal?: AbortSignal;
  /** Called at the last moment before the request is made; what it throws is thrown, and nothing is sent. */
  guard?: () => void;
}

export interface ClientOptions {
  config: KubeConfig;
  /** Names the program in the API server's audit log. */
  userAgent: string;
  /** Milliseconds without a byte after which a request is given up. */
  timeout?: number;
}

/** An answer larger than this is not what was asked for. */
const mostBytes = 64 << 20;

/** The usual places: KUBECONFIG, ~/.kube/config, a pod's service account. */
export function loadKubeConfig(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromDefault();
  return config;
}

export class Client {
  readonly #config: KubeConfig;
  readonly #userAgent: string;
  readonly #timeout: number;
  #agent: HttpAgent | undefined;
  #agentKey = "";

  constructor({ config, userAgent, timeout = 30_000 }: ClientOptions) {
    this.#config = config;
    this.#userAgent = userAgent;
    this.#timeout = timeout;
  }

  /**
   * @returns the decoded answer
   * @throws {ApiError} if the server says no, {UnreachableError} if it does not say anything
   */
  async request<T>(call: Call): Promise<T> {
    const response = await this.open(call);
    const text = await readAll(response, describe(call));
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new UnreachableError(`${describe(call)}: the answer is no JSON: ${text.slice(0, 200)}`);
    }
  }

  /**
   * The answer as a stream, for watches; the caller reads or destroys it.
   * @throws as `request`
   */
  async open(call: Call): Promise<IncomingMessage> {
    const response = await this.#send(call);
    const code = response.statusCode ?? 0;
    if (code >= 200 && code < 300) return response;
    const text = await readAll(response, describe(call));
    throw new ApiError(describe(call), code, statusOf(text), retryAfter(response));
  }

  /** Ends idle connections. */
  close(): void {
    this.#agent?.destroy();
  }

  async #send(call: Call): Promise<IncomingMessage> {
    const cluster = this.#config.getCurrentCluster();
    if (cluster === null)
      throw new UnreachableError("the kubeconfig names no cluster: set KUBECONFIG, or run in a pod");
    const url = new URL(cluster.server.replace(/\/$/, "") + call.path);
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
    const options = await this.#options(url, cluster.proxyUrl !== undefined);
    options.timeout = call.timeout ?? this.#timeout;
    options.method = call.method;
    options.headers = {
      ...options.headers,
      accept: "application/json",
      "user-agent": this.#userAgent,
      ...(body === undefined
        ? {}
        : { "content-type": call.contentType ?? "application/json", "content-length": body.length }),
    };
    if (call.signal !== undefined) options.signal = call.signal;
    call.guard?.();
    return exchange(url, options, body, describe(call), () => this.#dropIdle());
  }

  /** What hung one connection may have hung the others: each would cost the next request its time. */
  #dropIdle(): void {
    for (const sockets of Object.values(this.#agent?.freeSockets ?? {})) {
      for (const socket of sockets ?? []) socket.destroy();
    }
  }

  /** Credentials are asked for each time: tokens are rotated. A new certificate gets new connections. */
  async #options(url: URL, proxied: boolean): Promise<RequestOptions> {
    const options: Parameters<KubeConfig["applyToHTTPSOptions"]>[0] = {};
    try {
      await this.#config.applyToHTTPSOptions(options);
    } catch (error) {
      throw new UnreachableError(`no credentials for ${url.host}: ${(error as Error).message}`, { cause: error });
    }
    if (proxied) return options as RequestOptions;
    const { ca, cert, key, servername, rejectUnauthorized } = options;
    const agentKey = [ca, cert, key, servername, rejectUnauthorized].map(String).join("\n");
    if (this.#agent === undefined || agentKey !== this.#agentKey) {
      this.#agent?.destroy();
      this.#agentKey = agentKey;
      this.#agent =
        url.protocol === "https:" ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
    }
    options.agent = this.#agent as HttpsAgent;
    return options as RequestOptions;
  }
}

/** What those need who make single requests: a client, or one that checks something first. */
export type Requester = Pick<Client, "request">;

/** @param broken called when the connection fails, the other side is silent for too long, or the caller lost patience */
function exchange(
  url: URL,
  options: RequestOptions,
  body: Buffer | undefined,
  what: string,
  broken: () => void,
): Promise<IncomingMessage> {
  const start = url.protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = start(url, options, (response) => resolve(response.once("error", broken)));
    request.on("timeout", () => request.destroy(new Error(`no answer within ${options.timeout} ms`)));
    request.on("error", (error) => {
      broken();
      reject(new UnreachableError(`${what}: ${error.message}`, { cause: error }));
    });
    request.end(body);
  });
}

async function readAll(response: IncomingMessage, what: string): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response) {
      size += (chunk as Buffer).length;
      if (size > mostBytes) throw new Error(`the answer is longer than ${mostBytes} bytes`);
      chunks.push(chunk as Buffer);
    }
  } catch (error) {
    throw new UnreachableError(`${what}: the answer broke off: ${(error as Error).message}`, { cause: error });
  }
  return Buffer.concat(chunks).toString("utf8");
}

function statusOf(text: string): Status {
  try {
    const status: unknown = JSON.parse(text);
    if (typeof status === "object" && status !== null) return status;
  } catch {
    // A proxy's page, or nothing.
  }
  return { message: text.slice(0, 200) };
}

function retryAfter(response: IncomingMessage): number | undefined {
  const seconds = Number(response.headers["retry-after"]);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
}

function describe(call: Call): string {
  return `${call.method} ${call.path}`;
}
