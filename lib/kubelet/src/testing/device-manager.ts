/**
 * Who holds which devices, as the kubelet's device manager decides it (Kubernetes 1.36, pkg/kubelet/cm/devicemanager):
 * a pod's regular containers are given first what its init containers held, the plugin is asked which devices it
 * prefers only for what is left to choose, and a container that starts again keeps its devices without a call.
 */
import type { ContainerDevices } from "../pod-resources.ts";

export interface ContainerSpec {
  readonly name: string;
  readonly units: number;
}

export interface PodSpec {
  readonly namespace: string;
  readonly name: string;
  readonly init?: readonly ContainerSpec[];
  readonly containers: readonly ContainerSpec[];
}

/** The calls that a device manager makes to the plugin. */
export interface PluginCalls<Edits> {
  preferred(available: string[], mustInclude: string[], size: number): Promise<string[]>;
  allocate(ids: string[]): Promise<Edits>;
}

interface Held<Edits> {
  readonly ids: readonly string[];
  readonly edits: Edits;
}

interface Admitted<Edits> {
  readonly spec: PodSpec;
  readonly containers: Map<string, Held<Edits>>;
}

export class DeviceManager<Edits> {
  /** By ID; true: healthy. */
  devices = new Map<string, boolean>();
  readonly #pods = new Map<string, Admitted<Edits>>();

  /** Edits by container. @throws what the plugin answers, and if there are too few devices; nothing is held then. */
  async admit(spec: PodSpec, plugin: PluginCalls<Edits>): Promise<Map<string, Edits>> {
    const pod: Admitted<Edits> = { spec, containers: new Map() };
    const reusable = new Set<string>();
    for (const container of spec.init ?? []) {
      const ids = await this.#give(pod, container, reusable, plugin);
      for (const id of ids) reusable.add(id);
    }
    for (const container of spec.containers) {
      const ids = await this.#give(pod, container, reusable, plugin);
      for (const id of ids) reusable.delete(id);
    }
    this.#pods.set(keyOf(spec), pod);
    return new Map([...pod.containers].map(([name, { edits }]) => [name, edits]));
  }

  remove(spec: Pick<PodSpec, "namespace" | "name">): void {
    this.#pods.delete(keyOf(spec));
  }

  held(spec: Pick<PodSpec, "namespace" | "name">, container: string): Held<Edits> | undefined {
    return this.#pods.get(keyOf(spec))?.containers.get(container);
  }

  /** As pod-resources lists it: without init containers. */
  list(): ContainerDevices[] {
    return [...this.#pods.values()].flatMap(({ spec, containers }) =>
      spec.containers.map(({ name }) => ({
        namespace: spec.namespace,
        pod: spec.name,
        container: name,
        ids: containers.get(name)?.ids ?? [],
      })),
    );
  }

  async #give(
    pod: Admitted<Edits>,
    { name, units }: ContainerSpec,
    reusable: ReadonlySet<string>,
    plugin: PluginCalls<Edits>,
  ): Promise<string[]> {
    if (units === 0) return [];
    const chosen = await this.#choose(units, reusable, this.#inUse(pod), plugin);
    const edits = await plugin.allocate(shuffled(chosen));
    pod.containers.set(name, { ids: chosen, edits });
    return chosen;
  }

  async #choose(
    units: number,
    reusable: ReadonlySet<string>,
    inUse: ReadonlySet<string>,
    plugin: PluginCalls<Edits>,
  ): Promise<string[]> {
    const chosen = [...reusable].slice(0, units);
    if (chosen.length === units) return chosen;
    const available = [...this.devices].filter(([id, healthy]) => healthy && !inUse.has(id)).map(([id]) => id);
    const needed = units - chosen.length;
    if (available.length < needed) {
      throw new Error(`requested number of devices unavailable. Requested: ${needed}, Available: ${available.length}`);
    }
    const preferred = await plugin.preferred(shuffled([...available, ...chosen]), chosen, units);
    const fromPreferred = preferred.filter((id) => available.includes(id) && !chosen.includes(id));
    const rest = shuffled(available.filter((id) => !fromPreferred.includes(id)));
    return [...chosen, ...[...fromPreferred, ...rest].slice(0, needed)];
  }

  #inUse(admitting: Admitted<Edits>): Set<string> {
    const pods = [...this.#pods.values(), admitting];
    return new Set(pods.flatMap(({ containers }) => [...containers.values()].flatMap(({ ids }) => ids)));
  }
}

function keyOf({ namespace, name }: Pick<PodSpec, "namespace" | "name">): string {
  return `${namespace}/${name}`;
}

/** Some other order than the given one, as Go's sets have. The same for the same list. */
function shuffled(ids: string[]): string[] {
  return ids.length < 2 ? ids : [...ids.slice(ids.length / 2), ...ids.slice(0, ids.length / 2)].reverse();
}
