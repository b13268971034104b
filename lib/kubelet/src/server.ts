/** A gRPC server on a unix socket. */
import { rmSync } from "node:fs";
import type { DescService } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { serviceDefinition } from "./grpc.ts";

export class SocketServer {
  readonly socket: string;
  readonly #server = new Server();
  #bound = false;

  constructor(socket: string) {
    this.socket = socket;
  }

  /** Before `listen`. Handlers as grpc-js wants them, by local names of the methods. */
  serve(service: DescService, handlers: UntypedServiceImplementation): void {
    this.#server.addService(serviceDefinition(service), handlers);
  }

  /**
   * Binds; a socket that a dead process left there is removed first.
   * @throws {Error} naming the socket, if it cannot be bound.
   */
  listen(): Promise<void> {
    rmSync(this.socket, { force: true });
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(`unix://${this.socket}`, ServerCredentials.createInsecure(), (error) => {
        this.#bound = error === null;
        if (error) reject(new Error(`cannot serve at ${this.socket}: ${error.message}`, { cause: error }));
        else resolve();
      });
    });
  }

  /**
   * Ends all calls, running ones too, and removes the socket unless `leave` (another may have bound its name since).
   */
  close({ leave = false }: { leave?: boolean } = {}): void {
    if (!this.#bound) return;
    this.#bound = false;
    this.#server.forceShutdown();
    if (!leave) rmSync(this.socket, { force: true });
  }
}
