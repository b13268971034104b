/** What a pod's annotations ask for, checked. */
import { annotations, parseQuantity } from "@loretoken/api";
import type { Pod } from "./pod.ts";
import { wrongValue } from "./refusal.ts";

export interface Wishes {
  /** GiB. */
  readonly units: bigint;
  /** Undefined: the author names none. */
  readonly container: string | undefined;
  /** Undefined: as the operator is set. */
  readonly replaceGpu: boolean | undefined;
  readonly warnings: readonly string[];
}

const gibi = 1n << 30n;
const least = 1n << 20n;
const most = 64n << 40n;
const subdomain = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** @returns undefined if the pod has nothing to do with LoreToken @throws {Refusal} */
export function wishesOf(pod: Pod): Wishes | undefined {
  const given = pod.metadata?.annotations ?? {};
  const vram = given[annotations.vram];
  if (vram === undefined) return undefined;
  const bytes = bytesOf(vram);
  const units = (bytes + gibi - 1n) / gibi;
  check(annotations.policy, given[annotations.policy], subdomain, "the name of a CompressionPolicy");
  check(annotations.mode, given[annotations.mode], /^(full|off)$/, "full, off");
  check(annotations.replaceGpu, given[annotations.replaceGpu], /^(true|false)$/, "true, false");
  const replace = given[annotations.replaceGpu];
  return {
    units,
    container: given[annotations.container],
    replaceGpu: replace === undefined ? undefined : replace === "true",
    warnings: units * gibi === bytes ? [] : [`annotation ${annotations.vram}: "${vram}" is rounded up to ${units}Gi`],
  };
}

function bytesOf(text: string): bigint {
  const allowed = "a Kubernetes quantity from 1Mi to 64Ti, such as 40Gi";
  const bytes = parseQuantity(text);
  if (bytes === undefined) throw wrongValue(annotations.vram, text, allowed);
  // Whoever writes "40" means 40Gi, not 40 bytes; one GiB would be a puzzle.
  if (bytes < least || bytes > most) throw wrongValue(annotations.vram, text, `${allowed}; this is ${bytes} bytes`);
  return bytes;
}

function check(annotation: string, value: string | undefined, form: RegExp, allowed: string): void {
  if (value !== undefined && !form.test(value)) throw wrongValue(annotation, value, allowed);
}
