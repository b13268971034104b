/** A device plugin as small as one can be, which runs in the test's process: it shows what the kubelet asks and when. */
import { mkdirSync } from "node:fs";
import path from "node:path";
import { type DevicePlugin, deviceHealth, devicePluginServer, register, type SocketServer } from "@loretoken/kubelet";
import { type Cluster, until } from "@loretoken/test-cluster";

export class TestPlugin implements DevicePlugin {
  readonly options = { getPreferredAllocationAvailable: true };
  readonly allocated: string[][] = [];
  preferredCalls = 0;
  watchers = 0;
  readonly #resource: string;
  readonly #devices: readonly string[];
  readonly #kubeletFolder: string;
  #server: SocketServer | undefined;

  constructor(cluster: Cluster, resource: string, count: number) {
    if (cluster.node === undefined) throw new Error("a device plugin needs a node");
    this.#kubeletFolder = cluster.node.kubeletFolder;
    this.#resource = resource;
    this.#devices = Array.from({ length: count }, (_, index) => `0-${index}`);
  }

  /** A folder that containers get, by its path inside the node. */
  get hostFolder(): string {
    return "/var/lib/e2e-plugin";
  }

  /** Serves, then registers: the kubelet dials back inside the call. */
  async start(): Promise<void> {
    const folder = path.join(this.#kubeletFolder, "device-plugins");
    const kubelet = path.join(folder, "kubelet.sock");
    mkdirSync(path.join(this.#kubeletFolder, "..", path.basename(this.hostFolder)), { recursive: true });
    const server = devicePluginServer(path.join(folder, "e2e.sock"), this);
    await server.listen();
    this.#server = server;
    const { options } = this;
    await until("the plugin is registered", async () => {
      await register({ kubelet, endpoint: "e2e.sock", resource: this.#resource, options });
      return true;
    });
  }

  /** @param leave the kubelet has cleared its folder, and the socket's name may be another's */
  stop(leave = false): void {
    this.#server?.close({ leave });
    this.#server = undefined;
  }

  watch(send: Parameters<DevicePlugin["watch"]>[0]): { ended(): void } {
    this.watchers++;
    send(this.#devices.map((ID) => ({ ID, health: deviceHealth.healthy })));
    return { ended: () => this.watchers-- };
  }

  async preferred(request: Parameters<DevicePlugin["preferred"]>[0]): ReturnType<DevicePlugin["preferred"]> {
    this.preferredCalls++;
    return {
      containerResponses: request.containerRequests.map(({ availableDeviceIDs, allocationSize }) => ({
        deviceIDs: availableDeviceIDs.toSorted(byNumber).slice(-allocationSize),
      })),
    };
  }

  async allocate(request: Parameters<DevicePlugin["allocate"]>[0]): ReturnType<DevicePlugin["allocate"]> {
    return {
      containerResponses: request.containerRequests.map(({ devicesIds }) => {
        this.allocated.push(devicesIds.toSorted(byNumber));
        return {
          envs: { E2E_DEVICES: devicesIds.toSorted(byNumber).join(",") },
          mounts: [{ hostPath: this.hostFolder, containerPath: "/run/e2e", readOnly: false }],
          devices: [{ hostPath: "/dev/zero", containerPath: "/dev/e2e0", permissions: "r" }],
        };
      }),
    };
  }

  async preStart(): Promise<void> {}
}

function byNumber(left: string, right: string): number {
  return Number(left.split("-")[1]) - Number(right.split("-")[1]);
}
