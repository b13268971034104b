/**
 * The device plugin interface v1beta1: the plugin's server and the kubelet's registration.
 * Source: proto/deviceplugin/v1beta1/api.proto and https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, status } from "@grpc/grpc-js";
import {
  type AllocateRequest,
  AllocateResponseSchema,
  DevicePluginOptionsSchema,
  DevicePlugin as DevicePluginService,
  ListAndWatchResponseSchema,
  type PreferredAllocationRequest,
  PreferredAllocationResponseSchema,
  type PreStartContainerRequest,
  PreStartContainerResponseSchema,
  RegisterRequestSchema,
  Registration,
} from "./gen/device-plugin-v1beta1.gen.ts";
import { SocketClient } from "./grpc.ts";
import { SocketServer } from "./server.ts";

export const deviceHealth = { healthy: "Healthy", unhealthy: "Unhealthy" } as const;
/** The kubelet refuses longer ones. */
export const mostDeviceIdBytes = 63;
const version = "v1beta1";

export type Devices = MessageInitShape<typeof ListAndWatchResponseSchema>["devices"];
export type PluginOptions = MessageInitShape<typeof DevicePluginOptionsSchema>;
export type AllocateAnswer = MessageInitShape<typeof AllocateResponseSchema>;
export type PreferredAnswer = MessageInitShape<typeof PreferredAllocationResponseSchema>;

/** What a plugin answers. What it throws becomes the error that the kubelet shows: its message should say all. */
export interface DevicePlugin {
  readonly options: PluginOptions;
  /** The kubelet watches: `send` takes the whole list, now and at every change, until `ended` is called. */
  watch(send: (devices: Devices) => void): { ended(): void };
  preferred(request: PreferredAllocationRequest): Promise<PreferredAnswer>;
  allocate(request: AllocateRequest): Promise<AllocateAnswer>;
  preStart(request: PreStartContainerRequest): Promise<void>;
}

/** A server for the plugin, not yet listening. */
export function devicePluginServer(socket: string, plugin: DevicePlugin): SocketServer {
  const server = new SocketServer(socket);
  server.serve(DevicePluginService, {
    getDevicePluginOptions: unary(async () => create(DevicePluginOptionsSchema, plugin.options)),
    listAndWatch: (call: ServerWritableStream<unknown, unknown>) => {
      const watch = plugin.watch((devices) =>
        call.write(create(ListAndWatchResponseSchema, { devices: devices ?? [] })),
      );
      let ended = false;
      const end = (): void => {
        if (ended) return;
        ended = true;
        watch.ended();
      };
      call.on("cancelled", end);
      call.on("close", end);
      call.on("error", end);
    },
    getPreferredAllocation: unary(async (request: PreferredAllocationRequest) =>
      create(PreferredAllocationResponseSchema, await plugin.preferred(request)),
    ),
    allocate: unary(async (request: AllocateRequest) => create(AllocateResponseSchema, await plugin.allocate(request))),
    preStartContainer: unary(async (request: PreStartContainerRequest) => {
      await plugin.preStart(request);
      return create(PreStartContainerResponseSchema);
    }),
  });
  return server;
}

function unary<I, O>(answer: (request: I) => Promise<O>) {
  return (call: ServerUnaryCall<I, O>, done: sendUnaryData<O>): void => {
    answer(call.request).then(
      (value) => done(null, value),
      (error: unknown) => {
        const details = error instanceof Error ? error.message : String(error);
        done({ code: status.FAILED_PRECONDITION, details });
      },
    );
  };
}

export interface RegistrationRequest {
  /** The kubelet's socket. */
  readonly kubelet: string;
  /** Name of the plugin's socket, which lies in the same folder and is served already. */
  readonly endpoint: string;
  readonly resource: string;
  readonly options: PluginOptions;
}

/** The kubelet dials back within the call, for up to 10 s. */
const registerMilliseconds = 15_000;

/** Registers the plugin, which must serve by now. @throws {CallError} */
export async function register(request: RegistrationRequest, milliseconds = registerMilliseconds): Promise<void> {
  using client = new SocketClient(request.kubelet);
  const { endpoint, resource: resourceName, options } = request;
  const message = create(RegisterRequestSchema, { version, endpoint, resourceName, options });
  await client.call(Registration.method.register, message, milliseconds);
}
