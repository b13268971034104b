/** A pod as far as it is looked at here. All else in it is carried along unseen. */
import { z } from "zod";

const quantities = z.record(z.string(), z.union([z.string(), z.number()]));

const container = z.looseObject({
  name: z.string(),
  env: z.array(z.looseObject({ name: z.string() })).nullish(),
  envFrom: z.array(z.looseObject({ prefix: z.string().nullish() })).nullish(),
  resources: z.looseObject({ limits: quantities.nullish(), requests: quantities.nullish() }).nullish(),
});

const texts = z.record(z.string(), z.string());

export const podSchema = z.looseObject({
  metadata: z.looseObject({ annotations: texts.nullish(), labels: texts.nullish() }).nullish(),
  spec: z.looseObject({ containers: z.array(container), initContainers: z.array(container).nullish() }),
});

export type Pod = z.output<typeof podSchema>;
export type Container = z.output<typeof container>;

/** Where a container stands. */
export interface Place {
  readonly list: "containers" | "initContainers";
  readonly index: number;
  readonly container: Container;
}

/** Containers that programs run in, sidecars and other init containers last; ephemeral ones hold no resources. */
export function placesOf({ spec }: Pod): Place[] {
  const places = (list: Place["list"]): Place[] =>
    (spec[list] ?? []).map((container, index) => ({ list, index, container }));
  return [...places("containers"), ...places("initContainers")];
}

/** What a container asks of a resource, limits first; undefined: nothing. */
export function askedOf({ resources }: Container, resource: string): string | undefined {
  const asked = resources?.limits?.[resource] ?? resources?.requests?.[resource];
  return asked === undefined ? undefined : String(asked);
}

/** Names of all resources that a container asks for. */
export function resourcesOf({ resources }: Container): string[] {
  return [...new Set([...Object.keys(resources?.limits ?? {}), ...Object.keys(resources?.requests ?? {})])];
}
