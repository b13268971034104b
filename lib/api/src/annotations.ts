/** The annotations that users put on pods, for docs/reference/annotations.md. */
import { annotations } from "./names.ts";

interface AnnotationFacts {
  readonly value: string;
  readonly example: string;
  /** What holds if it is left out. */
  readonly fallback: string;
  readonly meaning: string;
}

const facts: Record<keyof typeof annotations, AnnotationFacts> = {
  vram: {
    value: "a Kubernetes quantity from 1Mi to 64Ti; rounded up to GiB",
    example: "40Gi",
    fallback: "the pod has nothing to do with LoreToken",
    meaning: "GPU memory that the pod's container is told it has",
  },
  container: {
    value: "the name of a container of the pod",
    example: "train",
    fallback:
      "the container that asks for a GPU, else the one of kubectl.kubernetes.io/default-container, else the first",
    meaning: "the container that gets the memory; it may be an init or a sidecar container",
  },
  policy: {
    value: "the name of a CompressionPolicy",
    example: "careful",
    fallback: "the first policy that selects the pod",
    meaning:
      "the policy that applies; its namespaceSelector and nodeSelector must select the pod, its podSelector need not. There is no other policy in its stead: where it is missing, suspended or does not select the pod's namespace or node, the pod goes by the settings of its node",
  },
  mode: {
    value: "`full` or `off`",
    example: "off",
    fallback: "full",
    meaning: "off: the container gets its memory, and packs only what that takes",
  },
  replaceGpu: {
    value: "`true` or `false`",
    example: "true",
    fallback: "as the operator is set (`replaceGpu`); unless that was changed, false",
    meaning:
      "true: `nvidia.com/gpu: 1` of the container is taken out, LoreToken gives it its GPU; false: a pod that asks for both is refused",
  },
};

export function annotationsReference(): string {
  const rows = Object.entries(facts).map(
    ([name, { value, example, fallback, meaning }]) =>
      `| \`${annotations[name as keyof typeof annotations]}\` | ${value} | \`${example}\` | ${fallback} | ${meaning} |`,
  );
  return [
    "# Annotations",
    "",
    "What users write on pods (for Deployments and Jobs: on the pod template).",
    "Generated from `lib/api/src/annotations.ts`.",
    "",
    "They are read when a pod is made. `loretoken.dev/vram` makes the others count. The pod then gets the resource `loretoken.dev/vram`",
    '(requests and limits), the label `loretoken.dev/managed: "true"` and, in the container\'s environment, the hints of',
    "[ADR 6](../adr/0006-framework-hints.md) that the container does not set itself; the hints that a ConfigMap or Secret under",
    "`envFrom` may hold are left out, with a warning. A value that is not allowed is refused, and the refusal names what is.",
    "",
    "| annotation | value | example | if left out | meaning |",
    "|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
