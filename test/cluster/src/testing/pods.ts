/** Pods from a test's point of view: run them, look into them, wait for them with limits. */
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import {
  CoreV1Api,
  Exec,
  type KubeConfig,
  type V1Container,
  type V1Pod,
  type V1PodSpec,
} from "@kubernetes/client-node";
import { until } from "../cluster/until.ts";

export interface PodOptions {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Limits, which are the requests too: `{ "loretoken.dev/vram": 4 }`. */
  readonly limits?: Readonly<Record<string, string | number>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** Merged over what is made from the rest. */
  readonly spec?: Partial<V1PodSpec>;
  readonly container?: Partial<V1Container>;
}

export interface ExecResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Pods {
  readonly #config: KubeConfig;
  readonly #api: CoreV1Api;
  readonly namespace: string;

  constructor(config: KubeConfig, namespace: string) {
    this.#config = config;
    this.#api = config.makeApiClient(CoreV1Api);
    this.namespace = namespace;
  }

  async create(options: PodOptions): Promise<V1Pod> {
    return this.#api.createNamespacedPod({ namespace: this.namespace, body: podOf(options) });
  }

  async read(name: string): Promise<V1Pod> {
    return this.#api.readNamespacedPod({ name, namespace: this.namespace });
  }

  /** Creates it and waits until all its containers run and are ready. */
  async run(options: PodOptions, timeoutMs = 60_000): Promise<V1Pod> {
    await this.create(options);
    return this.ready(options.name, timeoutMs);
  }

  async ready(name: string, timeoutMs = 60_000): Promise<V1Pod> {
    return this.waitFor(name, "is ready", (pod) => conditionOf(pod, "Ready") === "True", timeoutMs);
  }

  /** Waits until every container has ended. @returns the exit code of the first */
  async ended(name: string, timeoutMs = 120_000): Promise<number> {
    const pod = await this.waitFor(
      name,
      "has ended",
      ({ status }) => /Succeeded|Failed/.test(status?.phase ?? ""),
      timeoutMs,
    );
    return pod.status?.containerStatuses?.[0]?.state?.terminated?.exitCode ?? Number.NaN;
  }

  /** @throws {Error} after the limit, with the pod's state and events */
  async waitFor(name: string, what: string, holds: (pod: V1Pod) => boolean, timeoutMs = 60_000): Promise<V1Pod> {
    try {
      return await until(
        `pod ${name} ${what}`,
        async () => {
          const pod = await this.read(name);
          return holds(pod) ? pod : undefined;
        },
        { timeoutMs },
      );
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${await this.describe(name)}`, { cause: error });
    }
  }

  /** What is wrong with a pod: phase, reasons, events. Never throws. */
  async describe(name: string): Promise<string> {
    try {
      const { status } = await this.read(name);
      const states = (status?.containerStatuses ?? []).map(({ name: container, state }) => ({ container, ...state }));
      const events = await this.events(name);
      const head = { phase: status?.phase, reason: status?.reason, message: status?.message, states };
      return `${JSON.stringify(head)}\nevents:\n${events.join("\n")}`;
    } catch (error) {
      return `(no description: ${(error as Error).message})`;
    }
  }

  /** `<reason>: <message>` of each event on the pod, oldest first. */
  async events(name: string): Promise<string[]> {
    const { items } = await this.#api.listNamespacedEvent({
      namespace: this.namespace,
      fieldSelector: `involvedObject.name=${name}`,
    });
    return items.map(({ reason, message }) => `${reason}: ${message}`);
  }

  async logs(name: string, container?: string): Promise<string> {
    const target = { name, namespace: this.namespace, ...(container !== undefined && { container }) };
    return (await this.#api.readNamespacedPodLog(target)) ?? "";
  }

  /** Runs a command in a container of a running pod (the first container if none is named), for up to 30 s. */
  async exec(name: string, command: readonly string[], container?: string): Promise<ExecResult> {
    const target = container ?? (await this.read(name)).spec?.containers[0]?.name ?? "";
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    const outputs = Promise.all([text(stdout), text(stderr)]);
    const code = await new Promise<number>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${command.join(" ")} in ${name} took longer than 30 s`)), 30_000);
      new Exec(this.#config)
        .exec(
          this.namespace,
          name,
          target,
          [...command],
          stdout,
          stderr,
          null,
          false,
          ({ status, details, message }) => {
            clearTimeout(late);
            const exitCode = details?.causes?.find(({ reason }) => reason === "ExitCode")?.message;
            if (status === "Success") resolve(0);
            else if (exitCode !== undefined) resolve(Number(exitCode));
            else reject(new Error(`${command.join(" ")} could not be run in ${name}: ${message}`));
          },
        )
        .catch((error) => {
          clearTimeout(late);
          reject(error);
        });
    });
    stdout.end();
    stderr.end();
    const [out, err] = await outputs;
    return { code, stdout: out, stderr: err };
  }

  /** Deletes it and waits until it is gone. */
  async remove(name: string, graceSeconds = 0): Promise<void> {
    await this.#api.deleteNamespacedPod({ name, namespace: this.namespace, gracePeriodSeconds: graceSeconds });
    await until(`pod ${name} is gone`, async () => {
      try {
        await this.read(name);
        return false;
      } catch (error) {
        if ((error as { code?: number }).code === 404) return true;
        throw error;
      }
    });
  }
}

export function conditionOf(pod: V1Pod, type: string): string | undefined {
  return pod.status?.conditions?.find((condition) => condition.type === type)?.status;
}

function podOf(options: PodOptions): V1Pod {
  const { name, image, command, env, limits, annotations, labels, spec, container } = options;
  return {
    metadata: {
      name,
      ...(annotations && { annotations: { ...annotations } }),
      ...(labels && { labels: { ...labels } }),
    },
    spec: {
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: "main",
          image,
          imagePullPolicy: "IfNotPresent",
          ...(command && { command: [...command] }),
          ...(env && { env: Object.entries(env).map(([key, value]) => ({ name: key, value })) }),
          ...(limits && {
            resources: {
              limits: Object.fromEntries(Object.entries(limits).map(([key, value]) => [key, String(value)])),
            },
          }),
          ...container,
        },
      ],
      ...spec,
    },
  };
}
