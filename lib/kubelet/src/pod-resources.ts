/**
 * Which container holds which devices: the kubelet's pod-resources interface v1.
 * Source: proto/podresources/v1/api.proto and https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/#monitoring-device-plugin-resources
 */
import { create } from "@bufbuild/protobuf";
import { ListPodResourcesRequestSchema, PodResourcesLister } from "./gen/pod-resources-v1.gen.ts";
import { CallError, SocketClient } from "./grpc.ts";

/** Devices of one resource that one container holds. The interface tells no pod UID. */
export interface ContainerDevices {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly ids: readonly string[];
}

export interface PodList {
  /** That hold devices of the resource. */
  readonly containers: readonly ContainerDevices[];
  /** All active pods, `<namespace>/<name>`. A kubelet that has just started lacks those that it knows from the API server. */
  readonly pods: ReadonlySet<string>;
}

export interface PodResourcesOptions {
  readonly socket: string;
  /** Milliseconds for one try. */
  readonly timeout?: number;
  readonly tries?: number;
  readonly sleep?: (milliseconds: number) => Promise<unknown>;
}

/** Conditions that pass: the kubelet starts, is busy, or limits the rate of calls. */
const passing = new Set(["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"]);
const firstPause = 100;

export class PodResources implements Disposable {
  readonly #options: Required<PodResourcesOptions>;
  #client: SocketClient | undefined;

  constructor({ socket, timeout = 2000, tries = 3, sleep = wait }: PodResourcesOptions) {
    this.#options = { socket, timeout, tries, sleep };
  }

  /**
   * Active pods, and their containers that hold devices of the resource. Init containers that end before the pod's others
   * start are not listed by the kubelet, nor is a pod before its admission is over.
   * @param tries how often at most, less than the client's own number where an answer is needed soon.
   * @throws {CallError}
   */
  async list(resource: string, tries = this.#options.tries): Promise<PodList> {
    for (let attempt = 1; ; ++attempt) {
      try {
        return await this.#list(resource);
      } catch (error) {
        this.close();
        if (!(error instanceof CallError) || !passing.has(error.status) || attempt >= tries) throw error;
        await this.#options.sleep(firstPause * 2 ** (attempt - 1));
      }
    }
  }

  /** The next call connects anew. */
  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #list(resource: string): Promise<PodList> {
    this.#client ??= new SocketClient(this.#options.socket);
    const request = create(ListPodResourcesRequestSchema);
    const { podResources } = await this.#client.call(PodResourcesLister.method.list, request, this.#options.timeout);
    const held: ContainerDevices[] = [];
    const pods = new Set(podResources.map(({ namespace, name }) => `${namespace}/${name}`));
    for (const { namespace, name: pod, containers } of podResources) {
      for (const { name: container, devices } of containers) {
        const ids = devices
          .filter(({ resourceName }) => resourceName === resource)
          .flatMap(({ deviceIds }) => deviceIds);
        if (ids.length > 0) held.push({ namespace, pod, container, ids });
      }
    }
    return { containers: held, pods };
  }
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
