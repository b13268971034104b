/** Which container of a pod gets the memory, and whether its wishes can be met beside another plugin's GPUs. */
import { annotations, parseQuantity } from "@loretoken/api";
import { askedOf, type Container, type Place, type Pod, placesOf, resourcesOf } from "./pod.ts";
import { Refusal, wrongValue } from "./refusal.ts";
import type { Wishes } from "./wishes.ts";

/** The resource of NVIDIA's device plugin: whole cards. */
export const wholeGpu = "nvidia.com/gpu";
/** Whole cards, shared ones, slices. */
const anyGpu = /^nvidia\.com\/(gpu|mig-)/;
/** What kubectl, and injectors of sidecars, take for the pod's main container. */
const defaultContainer = "kubectl.kubernetes.io/default-container";

/** @param resource that LoreToken serves @throws {Refusal} */
export function chosenPlace(pod: Pod, wishes: Wishes, resource: string): Place {
  const places = placesOf(pod);
  if (wishes.container !== undefined) return named(places, wishes.container);
  // What an earlier look at this pod chose comes first: sidecars may have been put before it meanwhile.
  for (const asks of [(one: Container) => isAsked(one, resource), (one: Container) => gpusOf(one).length > 0]) {
    const asking = places.filter(({ container }) => asks(container));
    if (asking.length > 1) throw several(asking);
    if (asking[0] !== undefined) return asking[0];
  }
  const main = pod.metadata?.annotations?.[defaultContainer];
  const chosen = places.find(({ list, container }) => list === "containers" && container.name === main) ?? places[0];
  if (chosen === undefined) throw new Refusal("the pod has no container");
  return chosen;
}

/**
 * What the container asks of another plugin and is to be taken out.
 * @param allowed whether it may be
 * @throws {Refusal} with the way out, if the pod would get GPUs from two plugins
 */
export function replacedGpus(pod: Pod, chosen: Place, allowed: boolean): string[] {
  for (const { container } of placesOf(pod)) {
    if (container === chosen.container) continue;
    const [other] = gpusOf(container);
    if (other !== undefined) {
      throw new Refusal(
        `container ${container.name} asks for ${other}, and ${chosen.container.name} gets its GPU from LoreToken: a pod gets GPUs from one of the two; take ${other} out, or the annotation ${annotations.vram}`,
      );
    }
  }
  const gpus = gpusOf(chosen.container);
  for (const gpu of gpus) refuseUnlessReplaceable(chosen.container, gpu, allowed);
  return gpus;
}

function refuseUnlessReplaceable(container: Container, gpu: string, allowed: boolean): void {
  const asked = askedOf(container, gpu);
  const start = `container ${container.name} asks for ${gpu}: ${asked} beside the annotation ${annotations.vram}, which gives it a GPU already`;
  if (gpu !== wholeGpu || asked !== "1") {
    const why = gpu === wholeGpu ? "one container gets one GPU from LoreToken" : `only ${wholeGpu}: 1 can be replaced`;
    throw new Refusal(`${start}; ${why}: take ${gpu} out of its resources, or take the annotation away`);
  }
  if (!allowed) {
    throw new Refusal(
      `${start}; take ${gpu} out of its resources, or set the annotation ${annotations.replaceGpu}: "true" to have it taken out`,
    );
  }
}

function named(places: readonly Place[], name: string): Place {
  const place = places.find(({ container }) => container.name === name);
  if (place !== undefined) return place;
  const names = places.map(({ container }) => container.name).join(", ");
  throw wrongValue(annotations.container, name, `a container of the pod: ${names}`);
}

function several(places: readonly Place[]): Refusal {
  const names = places.map(({ container }) => container.name).join(", ");
  return new Refusal(
    `containers ${names} each ask for a GPU; name the one that is to get the memory in the annotation ${annotations.container}`,
  );
}

function gpusOf(container: Container): string[] {
  return resourcesOf(container).filter((name) => anyGpu.test(name) && isAsked(container, name));
}

function isAsked(container: Container, resource: string): boolean {
  const asked = askedOf(container, resource);
  return asked !== undefined && parseQuantity(asked) !== 0n;
}
