/** A review as an API server sends it for a pod of a training job: about 10 KiB, most of it what the API server keeps beside. */
import { randomUUID } from "node:crypto";

export function review(number: number): Buffer {
  const env = Array.from({ length: 20 }, (_, at) => ({ name: `VARIABLE_${at}`, value: `value-${number}-${at}` }));
  const mounts = Array.from({ length: 8 }, (_, at) => ({
    name: `volume-${at}`,
    mountPath: `/mnt/${at}`,
    readOnly: true,
  }));
  const container = (name: string) => ({
    name,
    image: "registry.example/team/image:1.2.3",
    env,
    volumeMounts: mounts,
    resources: { limits: { cpu: "8", memory: "64Gi" }, requests: { cpu: "8", memory: "64Gi" } },
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    imagePullPolicy: "IfNotPresent",
  });
  const fields = Object.fromEntries(
    Array.from({ length: 60 }, (_, at) => [`f:field-${at}`, { ".": {}, "f:name": {} }]),
  );
  const object = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      generateName: "train-7d4b9c-",
      namespace: "team",
      labels: { app: "train", "pod-template-hash": "7d4b9c" },
      annotations: { "loretoken.dev/vram": "40Gi", "loretoken.dev/container": "main" },
      ownerReferences: [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: "train-7d4b9c", uid: randomUUID() }],
      managedFields: [{ manager: "kube-controller-manager", operation: "Update", fieldsV1: fields }],
    },
    spec: {
      initContainers: [container("prepare")],
      containers: [container("main"), container("proxy")],
      volumes: mounts.map(({ name }) => ({ name, emptyDir: {} })),
      restartPolicy: "Always",
      schedulerName: "default-scheduler",
      tolerations: [{ key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" }],
    },
  };
  const request = {
    uid: randomUUID(),
    kind: { group: "", version: "v1", kind: "Pod" },
    resource: { group: "", version: "v1", resource: "pods" },
    namespace: "team",
    operation: "CREATE",
    userInfo: { username: "system:serviceaccount:kube-system:replicaset-controller", groups: ["system:authenticated"] },
    object,
    oldObject: null,
    dryRun: false,
  };
  return Buffer.from(JSON.stringify({ kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1", request }));
}
