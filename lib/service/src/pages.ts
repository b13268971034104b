/** A program's own pages over plain HTTP: /healthz, /readyz, /metrics. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type Log, messageOf } from "./log.ts";

export interface Page {
  readonly status: number;
  /** In parts, if it is long: they are written one by one. */
  readonly body: string | readonly string[];
  readonly type?: string;
}

/** By path, as "/metrics". */
export type Pages = Readonly<Record<string, () => Page | Promise<Page>>>;

export class PageServer {
  readonly #server: Server;

  constructor(pages: Pages, log: Log) {
    this.#server = createServer((request, response) => {
      const answer = ({ status, body, type = "text/plain; charset=utf-8" }: Page): void => {
        response.writeHead(status, { "content-type": type });
        if (request.method === "HEAD") response.end();
        else if (typeof body === "string") response.end(body);
        else {
          for (const part of body) response.write(part);
          response.end();
        }
      };
      const page = Object.hasOwn(pages, pathOf(request.url)) ? pages[pathOf(request.url)] : undefined;
      if (page === undefined)
        answer({ status: 404, body: `no such page; pages are ${Object.keys(pages).join(", ")}\n` });
      else if (request.method !== "GET" && request.method !== "HEAD") answer({ status: 405, body: "GET only\n" });
      else {
        Promise.resolve()
          .then(page)
          .then(answer, (error: unknown) => {
            log.error({ page: pathOf(request.url), error: messageOf(error) }, "page failed");
            answer({ status: 500, body: `${messageOf(error)}\n` });
          });
      }
    });
    this.#server.requestTimeout = 10_000;
  }

  /** @param at as "0.0.0.0:9410" or "[::]:9410"; port 0: any. @returns the port. @throws {Error} naming the address. */
  listen(at: string): Promise<number> {
    const colon = at.lastIndexOf(":");
    const host = at.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
    return new Promise((resolve, reject) => {
      this.#server.once("error", (error) =>
        reject(new Error(`cannot serve at ${at}: ${error.message}`, { cause: error })),
      );
      this.#server.listen({ port: Number(at.slice(colon + 1)), ...(host === "" ? {} : { host }) }, () =>
        resolve((this.#server.address() as AddressInfo).port),
      );
    });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function pathOf(url = "/"): string {
  return url.split("?")[0] ?? "/";
}
