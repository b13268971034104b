/** Pods at random, with and without what the webhook looks at; the same seed gives the same ones. */
import { annotations, hintGroups, labels, vramResource } from "@loretoken/api";
import { pick, type Random } from "../../../lib/api/src/testing/random.ts";
import type { Pod } from "../admission/pod.ts";

const variables = [...hintGroups.flatMap((group) => Object.keys(group.variables)), "PATH", "A~B/C"];
const quantities = ["40Gi", "1.5Gi", "40G", "1Mi", "40", "0", "-1Gi", "lots", "", "64Ti", "65Ti", "1e10", "2147483648"];

export function randomPod(random: Random, annotated = random() < 0.8): Pod {
  const chance = (part: number): boolean => random() < part;
  const maybe = (part: number, fields: () => object): object => (chance(part) ? fields() : {});

  const resources = (): object => {
    const limits = {
      ...maybe(0.3, () => ({ "nvidia.com/gpu": pick(random, ["1", "2", "0", 1]) })),
      ...maybe(0.1, () => ({ "nvidia.com/mig-1g.10gb": "1" })),
      ...maybe(0.15, () => ({ [vramResource]: pick(random, ["40", "2", "1"]) })),
      ...maybe(0.5, () => ({ cpu: "500m", memory: "1Gi" })),
    };
    return { ...maybe(0.9, () => ({ limits })), ...maybe(0.7, () => ({ requests: { ...limits } })) };
  };
  const container = (name: string, more: object = {}): object => ({
    name,
    image: "registry/image:1",
    ...maybe(0.6, () => ({ env: [...variables].filter(() => chance(0.15)).map((key) => ({ name: key, value: "x" })) })),
    ...maybe(0.2, () => ({
      envFrom: [{ configMapRef: { name: "c" }, ...maybe(0.5, () => ({ prefix: pick(random, ["", "XLA_", "MY_"]) })) }],
    })),
    ...maybe(0.6, () => ({ resources: resources() })),
    ...maybe(0.3, () => ({ volumeMounts: [{ name: "data", mountPath: "/data" }] })),
    ...more,
  });

  const others = {
    ...maybe(0.3, () => ({ "kubectl.kubernetes.io/default-container": pick(random, ["c0", "c1", "gone"]) })),
    ...maybe(0.2, () => ({ [annotations.container]: pick(random, ["c0", "c1", "i0", "s0", "gone"]) })),
    ...maybe(0.2, () => ({ [annotations.mode]: pick(random, ["full", "off", "hold"]) })),
    ...maybe(0.2, () => ({ [annotations.policy]: pick(random, ["careful", "Not A Name"]) })),
    ...maybe(0.4, () => ({ [annotations.replaceGpu]: pick(random, ["true", "true", "false", "yes"]) })),
    ...maybe(0.3, () => ({ "team/a~b": "c" })),
  };
  const vram = annotated
    ? { [annotations.vram]: pick(random, chance(0.6) ? ["40Gi", "2Gi", "1.5Gi"] : quantities) }
    : {};
  const containers = Array.from({ length: 1 + Math.floor(random() * 3) }, (_, at) => container(`c${at}`));
  const inits = [
    ...(chance(0.3) ? [container("i0")] : []),
    ...(chance(0.3) ? [container("s0", { restartPolicy: "Always" })] : []),
  ];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      generateName: "p-",
      ...(annotated || chance(0.7) ? { annotations: { ...others, ...vram } } : {}),
      ...maybe(0.5, () => ({ labels: { app: "a", ...maybe(0.2, () => ({ [labels.managed]: "false" })) } })),
    },
    spec: {
      containers,
      ...maybe(0.9, () => (inits.length > 0 ? { initContainers: inits } : {})),
      ...maybe(0.3, () => ({ volumes: [{ name: "data", emptyDir: {} }], nodeSelector: { a: "b" } })),
    },
  } as unknown as Pod;
}
