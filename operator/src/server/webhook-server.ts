/**
 * The webhook's HTTPS: TLS 1.3, HTTP/2 and HTTP/1.1 (which API servers use). What parses as JSON is answered by an
 * AdmissionReview; what does not, by an HTTP error.
 */
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { type Log, messageOf } from "@loretoken/service";
import { type AdmissionRequest, type AdmissionReview, answer, type Decision } from "../admission/review.ts";
import type { ServerCertificate } from "../certificates/source.ts";
import { type AdmissionMetrics, resultOf } from "./admission-metrics.ts";
import { BodyError, type BodyLimits, readBody } from "./body.ts";

export type Decide = (request: AdmissionRequest) => Decision;

export interface WebhookServerOptions {
  /** By path. */
  readonly reviews: Readonly<Record<string, Decide>>;
  readonly log: Log;
  readonly metrics: AdmissionMetrics;
  readonly limits?: Partial<ServerLimits>;
}

export interface ServerLimits {
  readonly body: BodyLimits;
  /** Milliseconds for TLS, and for the headers of a request over HTTP/1.1. */
  readonly start: number;
  /** Milliseconds that a connection may be silent: longer than API servers keep one (90 s), so that it is they who close it. */
  readonly silence: number;
  /** Milliseconds for requests that are under way when the server ends. */
  readonly ending: number;
}

const defaultLimits: ServerLimits = {
  body: { size: 3 << 20, time: 10_000 },
  start: 10_000,
  silence: 180_000,
  ending: 10_000,
};

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly type: string;
}

export class WebhookServer {
  readonly #options: WebhookServerOptions;
  readonly #limits: ServerLimits;
  /** Connections, and how many requests of HTTP/1.1 are under way on each. */
  readonly #sockets = new Map<Socket, number>();
  readonly #sessions = new Set<ServerHttp2Session>();
  #server: Http2SecureServer | undefined;
  #ending = false;

  constructor(options: WebhookServerOptions) {
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
  }

  /** @param at as "0.0.0.0:9443" or "[::]:9443"; port 0: any. @returns the port. @throws {Error} naming the address. */
  async listen(at: string, certificate: ServerCertificate): Promise<number> {
    const server = this.#create(certificate);
    const colon = at.lastIndexOf(":");
    const host = at.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(new Error(`cannot serve at ${at}: ${error.message}`, { cause: error })));
      server.listen({ port: Number(at.slice(colon + 1)), ...(host === "" ? {} : { host }) }, resolve);
    });
    this.#server = server;
    return (server.address() as AddressInfo).port;
  }

  /** New connections get this certificate; those that are there go on. */
  use(certificate: ServerCertificate): void {
    this.#server?.setSecureContext(secureContext(certificate));
  }

  /** Answers what is under way and takes nothing new. */
  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined || this.#ending) return;
    this.#ending = true;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const session of this.#sessions) session.close();
    for (const [socket, running] of this.#sockets) {
      if (running === 0 && (socket as TLSSocket).alpnProtocol !== "h2") socket.destroy();
    }
    const timer = setTimeout(() => {
      for (const socket of this.#sockets.keys()) socket.destroy();
    }, this.#limits.ending);
    await closed;
    clearTimeout(timer);
  }

  #create(certificate: ServerCertificate): Http2SecureServer {
    const { start, silence, body } = this.#limits;
    const http1 = {
      headersTimeout: start,
      requestTimeout: start + body.time,
      keepAliveTimeout: silence,
      connectionsCheckingInterval: Math.min(1000, start),
    };
    const server = createSecureServer({
      ...secureContext(certificate),
      ...http1,
      allowHTTP1: true,
      handshakeTimeout: start,
      settings: { maxConcurrentStreams: 250 },
      maxSessionMemory: 64, // MB; bodies of 3 MiB side by side
    } as Parameters<typeof createSecureServer>[0]);
    server.setTimeout(silence);
    server.on("request", (request, response) => void this.#serve(request, response));
    server.on("secureConnection", (socket: Socket) => {
      this.#sockets.set(socket, 0);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    server.on("session", (session) => {
      this.#sessions.add(session);
      session.on("close", () => this.#sessions.delete(session));
    });
    const { log } = this.#options;
    server.on("tlsClientError", (error) => log.debug({ error: messageOf(error) }, "TLS failed"));
    server.on("sessionError", (error) => log.debug({ error: messageOf(error) }, "connection failed"));
    return server;
  }

  async #serve(request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
    const { socket } = request;
    const under = (change: 1 | -1): void => {
      const running = this.#sockets.get(socket);
      if (running !== undefined) this.#sockets.set(socket, running + change);
    };
    under(1);
    const reply = await this.#answer(request);
    response.once("close", () => under(-1));
    if (response.destroyed || response.writableEnded) return;
    const headers: Record<string, string | number> = {
      "content-type": reply.type,
      "content-length": Buffer.byteLength(reply.text),
    };
    // What was not read of the body ends with the connection, over HTTP/2 with the stream.
    const unread = !request.complete;
    if (request.httpVersionMajor === 1 && (this.#ending || unread)) headers.connection = "close";
    response.writeHead(reply.status, headers);
    response.end(reply.text, () => {
      if (unread && request.httpVersionMajor === 2) request.stream.close();
    });
  }

  async #answer(request: Http2ServerRequest): Promise<Answer> {
    const { reviews, metrics } = this.#options;
    const path = (request.url ?? "/").split("?")[0] ?? "/";
    const decide = Object.hasOwn(reviews, path) ? reviews[path] : undefined;
    if (decide === undefined) return failure(404, `paths are ${Object.keys(reviews).join(", ")}`);
    if (request.method !== "POST") return failure(405, "POST only");
    if (!/^application\/json *(;|$)/i.test(request.headers["content-type"] ?? "")) {
      return failure(415, "content-type application/json only");
    }
    const start = performance.now();
    const done = metrics.begin();
    try {
      const body = await readBody(request, this.#limits.body);
      const review = this.#review(body, decide);
      done(resultOf(review), (performance.now() - start) / 1000);
      return { status: 200, text: JSON.stringify(review), type: "application/json" };
    } catch (error) {
      const broken = error instanceof BodyError;
      done(broken ? "invalid" : "error", (performance.now() - start) / 1000);
      if (broken) return failure(error.status, error.message);
      this.#options.log.error({ error: messageOf(error) }, "request failed");
      return failure(500, messageOf(error));
    }
  }

  /** @throws {BodyError} if it is no JSON */
  #review(body: Buffer, decide: Decide): AdmissionReview {
    const { log } = this.#options;
    let parsed: unknown;
    try {
      parsed = JSON.parse(body.toString("utf8"));
    } catch (error) {
      throw new BodyError(400, `not JSON: ${messageOf(error)}`);
    }
    return answer(parsed, (request) => {
      const about = { uid: request.uid, namespace: request.namespace, name: request.name, dryRun: request.dryRun };
      try {
        const decision = decide(request);
        if (decision.allowed) log.debug({ ...about, changes: decision.patch.length }, "admitted");
        else log.info({ ...about, reason: decision.message }, "refused");
        return decision;
      } catch (error) {
        log.error({ ...about, error: error instanceof Error ? error.stack : String(error) }, "review failed");
        return { allowed: false, code: 500, message: `the webhook failed: ${messageOf(error)}` };
      }
    });
  }
}

function secureContext({ certificate, key }: ServerCertificate) {
  return { cert: certificate, key, minVersion: "TLSv1.3" as const };
}

function failure(status: number, message: string): Answer {
  return { status, text: `${message}\n`, type: "text/plain; charset=utf-8" };
}
