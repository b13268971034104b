/**
 * A port of this machine's loopback address that leads to a port inside the node's network, without a change to the machine's
 * network: a process inside the node listens on a socket file, which both sides see.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import path from "node:path";

/** What runs inside: `node <this> <socket file>`. */
export const portalProgram = path.resolve(import.meta.dirname, "portal-inside.ts");

export class Portals {
  readonly #socketFile: string;
  readonly #open = new Map<string, { server: Server; port: number }>();
  readonly #connections = new Set<Socket>();

  constructor(socketFile: string) {
    this.#socketFile = socketFile;
  }

  /** @returns the port on 127.0.0.1 that leads to `host:port` as the node sees it; the same one when asked again */
  async to(host: string, port: number): Promise<number> {
    const target = `${host}:${port}`;
    const known = this.#open.get(target);
    if (known !== undefined) return known.port;
    const server = createServer((outside) => this.#join(outside, target));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("a listening socket without a port");
    this.#open.set(target, { server, port: address.port });
    return address.port;
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    await Promise.all([...this.#open.values()].map(({ server }) => new Promise((resolve) => server.close(resolve))));
    this.#open.clear();
  }

  #join(outside: Socket, target: string): void {
    const inside = connect(this.#socketFile);
    inside.write(`${target}\n`);
    for (const [from, to] of [
      [outside, inside],
      [inside, outside],
    ] as const) {
      this.#connections.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#connections.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }
}
