/**
 * The pod as it is admitted. A pure function: the same pod gives the same answer, an admitted pod is admitted as it is, so that
 * API servers may call again after others changed the pod.
 */
import { annotations, hintsUnless, labels, parseQuantity, vramResource } from "@loretoken/api";
import { chosenPlace, replacedGpus } from "./choice.ts";
import type { Container, Place, Pod } from "./pod.ts";
import { Refusal } from "./refusal.ts";
import { wishesOf } from "./wishes.ts";

export interface EnlargeOptions {
  /** The extended resource of which one unit is 1 GiB. */
  readonly resource: string;
  /** Whether another plugin's GPU is replaced where the pod does not say. */
  readonly replaceGpu: boolean;
}

export const defaultOptions: EnlargeOptions = { resource: vramResource, replaceGpu: false };

export interface Admitted {
  /** The very pod that was given, if nothing is to be changed. */
  readonly pod: Pod;
  readonly warnings: readonly string[];
}

/** @throws {Refusal} */
export function enlarge(pod: Pod, { resource, replaceGpu }: EnlargeOptions = defaultOptions): Admitted {
  const wishes = wishesOf(pod);
  if (wishes === undefined) return { pod, warnings: [] };
  const place = chosenPlace(pod, wishes, resource);
  const replaced = replacedGpus(pod, place, wishes.replaceGpu ?? replaceGpu);
  checkUnits(place.container, resource, wishes.units);
  const { hints, warnings } = hintsFor(place.container);
  const container = {
    ...withResource(place.container, resource, wishes.units, replaced),
    ...(hints.length === 0 ? {} : { env: [...(place.container.env ?? []), ...hints] }),
  };
  return { pod: labelled(withContainer(pod, place, container)), warnings: [...wishes.warnings, ...warnings] };
}

/** A container that states the resource itself must state the same. */
function checkUnits(container: Container, resource: string, units: bigint): void {
  for (const list of ["limits", "requests"] as const) {
    const asked = container.resources?.[list]?.[resource];
    if (asked === undefined || parseQuantity(String(asked)) === units) continue;
    throw new Refusal(
      `container ${container.name} has ${resource}: ${asked} in its ${list}, and the annotation ${annotations.vram} asks for ${units}; take it out of its resources: the annotation is enough`,
    );
  }
}

function withResource(container: Container, resource: string, units: bigint, without: readonly string[]): Container {
  const quantities = (list: "limits" | "requests"): Record<string, string | number> => {
    const kept = Object.entries(container.resources?.[list] ?? {}).filter(([name]) => !without.includes(name));
    return { [resource]: String(units), ...Object.fromEntries(kept) };
  };
  const resources = { ...container.resources, limits: quantities("limits"), requests: quantities("requests") };
  return { ...container, resources };
}

function hintsFor(container: Container): { hints: { name: string; value: string }[]; warnings: string[] } {
  const own = new Set((container.env ?? []).map(({ name }) => name));
  // What stands in env wins over envFrom: a hint must not win over what the user may have there.
  const prefixes = (container.envFrom ?? []).map(({ prefix }) => prefix ?? "");
  const hidden = (name: string): boolean => prefixes.some((prefix) => name.startsWith(prefix));
  const all = hintsUnless((name) => own.has(name));
  const added = hintsUnless((name) => own.has(name) || hidden(name));
  const hints = Object.entries(added).map(([name, value]) => ({ name, value }));
  const left = Object.keys(all).filter((name) => !(name in added));
  const warnings = left.map(
    (name) =>
      `container ${container.name}: ${name} is left as it is, since envFrom may set it; ${all[name]} is advised`,
  );
  return { hints, warnings };
}

function withContainer(pod: Pod, { list, index }: Place, container: Container): Pod {
  const containers = (pod.spec[list] ?? []).with(index, container);
  return { ...pod, spec: { ...pod.spec, [list]: containers } };
}

function labelled(pod: Pod): Pod {
  return { ...pod, metadata: { ...pod.metadata, labels: { ...pod.metadata?.labels, [labels.managed]: "true" } } };
}
