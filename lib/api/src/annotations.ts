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
    value: "a Kubernetes quantity; rounded up to GiB",
    example: "40Gi",
    fallback: "the pod has nothing to do with LoreToken",
    meaning: "GPU memory that the pod's container is told it has",
  },
  container: {
    value: "the name of a container of the pod",
    example: "train",
    fallback: "the container that asks for a GPU, else the first",
    meaning: "the container that gets the memory",
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
    "| annotation | value | example | if left out | meaning |",
    "|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
