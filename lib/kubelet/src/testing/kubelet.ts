/** The kubelet's side of both interfaces over real sockets, for tests without a cluster. */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type ClientReadableStream, Metadata, type ServerUnaryCall, type sendUnaryData, status } from "@grpc/grpc-js";
import {
  AllocateRequestSchema,
  type ContainerAllocateResponse,
  DevicePlugin,
  EmptySchema,
  type ListAndWatchResponse,
  ListAndWatchResponseSchema,
  PreferredAllocationRequestSchema,
  PreStartContainerRequestSchema,
  type RegisterRequest,
  Registration,
} from "../gen/device-plugin-v1beta1.gen.ts";
import { ListPodResourcesResponseSchema, PodResourcesLister } from "../gen/pod-resources-v1.gen.ts";
import { methodDefinition, SocketClient } from "../grpc.ts";
import { SocketServer } from "../server.ts";
import { DeviceManager, type PluginCalls, type PodSpec } from "./device-manager.ts";

export type { ContainerSpec, PodSpec } from "./device-manager.ts";

const callMilliseconds = 5000;

/** Sockets as the kubelet's: `<root>/device-plugins/kubelet.sock` and `<root>/pod-resources/kubelet.sock`. */
export class KubeletDouble {
  readonly pluginFolder: string;
  readonly podResourcesSocket: string;
  readonly manager = new DeviceManager<ContainerAllocateResponse>();
  /** Every list that a plugin sent, in order. */
  readonly lists: ListAndWatchResponse[] = [];
  readonly registrations: RegisterRequest[] = [];
  /** Set while the plugin's list is watched. */
  watching = false;
  #registration: SocketServer | undefined;
  #podResources: SocketServer | undefined;
  #plugin: SocketClient | undefined;
  #stream: ClientReadableStream<ListAndWatchResponse> | undefined;
  #preStart = false;

  constructor(root: string) {
    this.pluginFolder = join(root, "device-plugins");
    this.podResourcesSocket = join(root, "pod-resources/kubelet.sock");
    mkdirSync(this.pluginFolder, { recursive: true });
    mkdirSync(join(root, "pod-resources"), { recursive: true });
  }

  get socket(): string {
    return join(this.pluginFolder, "kubelet.sock");
  }

  /** As a kubelet that starts: it clears its folder of sockets, then serves. */
  async start(): Promise<void> {
    for (const name of readdirSync(this.pluginFolder)) rmSync(join(this.pluginFolder, name));
    await this.startPodResources();
    this.#registration = new SocketServer(this.socket);
    this.#registration.serve(Registration, {
      register: (call: ServerUnaryCall<RegisterRequest, unknown>, done: sendUnaryData<unknown>) => {
        this.#register(call.request).then(
          () => done(null, create(EmptySchema)),
          (error: Error) => done({ code: status.UNKNOWN, details: error.message }),
        );
      },
    });
    await this.#registration.listen();
  }

  /** Ends as a process that is killed: what it was is forgotten but for who holds what. */
  stop(): void {
    this.#plugin?.close();
    this.#plugin = undefined;
    this.#stream?.cancel();
    this.watching = false;
    this.#registration?.close({ leave: true });
    this.stopPodResources();
  }

  async startPodResources(): Promise<void> {
    this.#podResources = new SocketServer(this.podResourcesSocket);
    this.#podResources.serve(PodResourcesLister, {
      list: (_call: unknown, done: sendUnaryData<unknown>) => done(null, this.#list()),
    });
    await this.#podResources.listen();
  }

  stopPodResources(): void {
    this.#podResources?.close();
  }

  /** Admits a pod and starts its containers in order. @throws {CallError} what the plugin refuses. */
  async run(spec: PodSpec): Promise<Map<string, ContainerAllocateResponse>> {
    const edits = await this.manager.admit(spec, this.#calls());
    for (const { name, units } of [...(spec.init ?? []), ...spec.containers]) {
      if (units > 0) await this.startContainer(spec, name);
    }
    return edits;
  }

  /** What the kubelet asks before a container starts, for the first time or again. */
  async startContainer(spec: PodSpec, container: string): Promise<void> {
    if (!this.#preStart) return;
    const devicesIds = [...(this.manager.held(spec, container)?.ids ?? [])];
    const message = create(PreStartContainerRequestSchema, { devicesIds });
    await this.#client().call(DevicePlugin.method.preStartContainer, message, callMilliseconds);
  }

  /** Allocate, without the device manager: for devices that it would not give. */
  async allocate(ids: string[]): Promise<ContainerAllocateResponse> {
    const request = create(AllocateRequestSchema, { containerRequests: [{ devicesIds: ids }] });
    const answer = await this.#client().call(DevicePlugin.method.allocate, request, callMilliseconds);
    const [edits] = answer.containerResponses;
    if (edits === undefined) throw new Error("no containers return in allocation response");
    return edits;
  }

  #client(): SocketClient {
    if (this.#plugin === undefined) throw new Error("no plugin is registered");
    return this.#plugin;
  }

  #calls(): PluginCalls<ContainerAllocateResponse> {
    return {
      preferred: async (availableDeviceIDs, mustIncludeDeviceIDs, allocationSize) => {
        const containerRequests = [{ availableDeviceIDs, mustIncludeDeviceIDs, allocationSize }];
        const request = create(PreferredAllocationRequestSchema, { containerRequests });
        const { getPreferredAllocation } = DevicePlugin.method;
        const answer = await this.#client().call(getPreferredAllocation, request, callMilliseconds);
        return answer.containerResponses[0]?.deviceIDs ?? [];
      },
      allocate: (ids) => this.allocate(ids),
    };
  }

  /** Dials back within the call, as the kubelet does. */
  async #register(request: RegisterRequest): Promise<void> {
    this.registrations.push(request);
    const client = new SocketClient(join(this.pluginFolder, request.endpoint));
    const options = await client.call(
      DevicePlugin.method.getDevicePluginOptions,
      create(EmptySchema),
      callMilliseconds,
    );
    this.#plugin?.close();
    this.#stream?.cancel();
    this.#plugin = client;
    this.#preStart = options.preStartRequired;
    this.#watch(client);
  }

  #watch(client: SocketClient): void {
    const stream = client.client.makeServerStreamRequest(
      methodDefinition(DevicePlugin.method.listAndWatch).path,
      (message: ReturnType<typeof create<typeof EmptySchema>>) => Buffer.from(toBinary(EmptySchema, message)),
      (bytes: Buffer) => fromBinary(ListAndWatchResponseSchema, bytes),
      create(EmptySchema),
      new Metadata(),
    );
    this.#stream = stream;
    this.watching = true;
    stream.on("data", (list: ListAndWatchResponse) => {
      this.lists.push(list);
      this.manager.devices = new Map(list.devices.map(({ ID, health }) => [ID, health === "Healthy"]));
    });
    const ended = (): void => {
      if (this.#plugin !== client) return;
      this.watching = false;
      for (const id of this.manager.devices.keys()) this.manager.devices.set(id, false);
    };
    stream.on("error", ended);
    stream.on("end", ended);
  }

  #list(): unknown {
    const pods = Map.groupBy(this.manager.list(), ({ namespace, pod }) => `${namespace}/${pod}`);
    const podResources = [...pods.values()].map((containers) => ({
      namespace: containers[0]?.namespace ?? "",
      name: containers[0]?.pod ?? "",
      containers: containers.map(({ container, ids }) => ({
        name: container,
        devices: [{ resourceName: this.registrations.at(-1)?.resourceName ?? "", deviceIds: [...ids] }],
      })),
    }));
    return create(ListPodResourcesResponseSchema, { podResources });
  }
}
