/** A port that leads to another one, until the test wants otherwise. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { KubeConfig } from "@kubernetes/client-node";

export class Gate {
  readonly #to: number;
  readonly #pairs = new Set<[Socket, Socket]>();
  readonly #server: Server;
  #closed = false;

  /** @param to a port of 127.0.0.1 */
  constructor(to: number) {
    this.#to = to;
    this.#server = createServer((near) => this.#pass(near));
  }

  async open(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  /** The same cluster and credentials through this gate. */
  through(config: KubeConfig): KubeConfig {
    const { port } = this.#server.address() as AddressInfo;
    const cluster = config.getCurrentCluster();
    if (cluster === null) throw new Error("the kubeconfig names no cluster");
    const changed = { ...cluster, server: `https://127.0.0.1:${port}` };
    config.clusters = config.clusters.map((each) => (each.name === cluster.name ? changed : each));
    return config;
  }

  /** Connections are reset; new ones get through. */
  cut(): void {
    for (const [near, far] of this.#pairs) {
      near.resetAndDestroy();
      far.destroy();
    }
  }

  /** Connections stay open on both sides, and nothing passes any more; new ones get through. */
  mute(): void {
    for (const [near, far] of this.#pairs) {
      near.pause().unpipe(far);
      far.pause().unpipe(near);
    }
  }

  /** Until `let`, connections are reset at once. */
  shut(): void {
    this.#closed = true;
    this.cut();
  }

  let(): void {
    this.#closed = false;
  }

  async close(): Promise<void> {
    this.shut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #pass(near: Socket): void {
    if (this.#closed) return void near.resetAndDestroy();
    const far = connect(this.#to, "127.0.0.1");
    const pair: [Socket, Socket] = [near, far];
    this.#pairs.add(pair);
    const end = (): void => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of pair) socket.on("error", end).on("close", end);
    near.pipe(far);
    far.pipe(near);
  }
}
