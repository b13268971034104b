/** gRPC over unix sockets for services that protobuf-es describes: definitions, and calls that end. */

import type { DescMethodUnary, MessageShape } from "@bufbuild/protobuf";
import { type DescMessage, type DescMethod, type DescService, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type MethodDefinition, type ServiceError, status } from "@grpc/grpc-js";

/** A call to the kubelet (or, in tests, to a plugin) did not succeed. */
export class CallError extends Error {
  override name = "CallError";
  /** gRPC's name of the status, as "UNAVAILABLE". */
  readonly status: string;

  constructor(method: string, socket: string, error: ServiceError) {
    const name = status[error.code] ?? `status ${error.code}`;
    super(`${method} at ${socket}: ${name}: ${error.details}`);
    this.status = name;
  }
}

/** A pod's containers and devices of a large node take tens of KiB; gRPC's own limit would be 4 MiB. */
const mostMessageBytes = 16 * 2 ** 20;

type Definition = MethodDefinition<unknown, unknown>;

/** What a grpc-js server or client needs to know of one method. */
export function methodDefinition(method: DescMethod): Definition {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    ...codec(method.input, "request"),
    ...codec(method.output, "response"),
  } as Definition;
}

function codec(schema: DescMessage, side: "request" | "response"): Partial<Definition> {
  return {
    [`${side}Serialize`]: (message: MessageShape<DescMessage>) => Buffer.from(toBinary(schema, message)),
    [`${side}Deserialize`]: (bytes: Uint8Array) => fromBinary(schema, bytes),
  };
}

/** For `Server.addService`; handlers go by the methods' local names ("listAndWatch"). */
export function serviceDefinition(service: DescService): Record<string, Definition> {
  return Object.fromEntries(service.methods.map((method) => [method.localName, methodDefinition(method)]));
}

/**
 * A connection to one unix socket. It connects at the first call; several calls may run at once. Each has a state of
 * its own, so that an earlier failure to connect delays nobody.
 */
export class SocketClient implements Disposable {
  readonly socket: string;
  readonly #client: Client;

  constructor(socket: string) {
    this.socket = socket;
    this.#client = new Client(`unix://${socket}`, credentials.createInsecure(), {
      "grpc.max_receive_message_length": mostMessageBytes,
      "grpc.use_local_subchannel_pool": 1,
    });
  }

  /** @throws {CallError} also when no answer came within so many milliseconds. */
  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageShape<I>,
    milliseconds: number,
  ): Promise<MessageShape<O>> {
    const { path } = methodDefinition(method);
    const deadline = Date.now() + milliseconds;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
        (bytes: Buffer) => fromBinary(method.output, bytes),
        request,
        new Metadata(),
        { deadline },
        (error: ServiceError | null, answer?: MessageShape<O>) => {
          if (error || answer === undefined) reject(new CallError(method.name, this.socket, error ?? emptyAnswer()));
          else resolve(answer);
        },
      );
    });
  }

  /** The raw client, for streams. */
  get client(): Client {
    return this.#client;
  }

  /** No new calls; those that run end by themselves, at their deadlines at the latest. */
  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function emptyAnswer(): ServiceError {
  const details = "an answer without content";
  return Object.assign(new Error(details), { code: status.INTERNAL, details, metadata: new Metadata() });
}
