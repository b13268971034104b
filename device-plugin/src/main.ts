/** The agent's program: loretoken-agent. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { Client, loadKubeConfig } from "@loretoken/kube";
import { openNvml } from "@loretoken/nvml";
import { every } from "@loretoken/service";
import { HostProcesses } from "@loretoken/telemetry";
import { Agent } from "./agent.ts";
import { helpText } from "./config/help.ts";
import { ConfigError, loadConfig } from "./config/load.ts";
import type { Config } from "./config/schema.ts";
import { createLog, messageOf } from "./log.ts";
import { returnFreeMemory } from "./memory.ts";
import { PolicySources } from "./policy/sources.ts";
import { Reporting } from "./reporting/index.ts";
import { version } from "./version.ts";

/** Milliseconds. A busy hour leaves free pieces too. */
const trimEvery = 600_000;

/** The pod, by the downward API. */
function ownPod({ POD_NAMESPACE: namespace, POD_NAME: name }: NodeJS.ProcessEnv): string | undefined {
  return namespace && name ? `${namespace}/${name}` : undefined;
}

/** Where the cluster is; undefined: nowhere, reports go to the log. */
function clientOf(config: Config, env: NodeJS.ProcessEnv): Client | undefined {
  const known = env.KUBECONFIG !== undefined || env.KUBERNETES_SERVICE_HOST !== undefined;
  if (config.apiServer === "none" || !known) return undefined;
  return new Client({ config: loadKubeConfig(), userAgent: `loretoken-agent/${version()}`, timeout: 10_000 });
}

async function run(config: Config): Promise<void> {
  const log = createLog(config.logLevel);
  const node = config.nodeName ?? process.env.NODE_NAME ?? hostname();
  const client = clientOf(config, process.env);
  const reporting = new Reporting({
    version: version(),
    node,
    client,
    holdings: () => agent.holdings(),
    gpus: () => agent.gpuStates(),
    policies: () => agent.policies(),
    alive: new HostProcesses().alive,
    giveWay: () => agent.giveWay(),
    log,
  });
  const agent = new Agent(config, {
    version: version(),
    log,
    openNvml: () => openNvml({ library: config.nvmlLibrary }),
    now: Date.now,
    monotonic: () => process.hrtime.bigint(),
    newId: () => randomBytes(8).toString("hex"),
    ownPod: ownPod(process.env),
    policies: client === undefined ? undefined : new PolicySources({ client, node, log }),
    observers: [reporting.observer],
    pages: reporting.pages,
    podUid: reporting.podUid,
  });
  let ending = false;
  const end = (signal: string): void => {
    if (ending) return;
    ending = true;
    log.info({ signal }, "ending");
    const stopped = agent.stop().then(() => reporting.stop());
    stopped.then(
      () => {
        log.info({}, "ended");
        process.exit(0);
      },
      (error: unknown) => {
        log.error({ error: messageOf(error) }, "ending failed");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  try {
    const port = await agent.start();
    if (ending) return;
    reporting.start();
    log.info({ version: version(), port, pid: process.pid }, "started");
    returnFreeMemory();
    every(trimEvery, "memory", log, () => void returnFreeMemory());
  } catch (error) {
    log.error({ error: messageOf(error) }, "start failed");
    process.exit(1);
  }
}

try {
  const line = loadConfig(process.argv.slice(2));
  if ("config" in line) await run(line.config);
  else process.stdout.write(line.show === "help" ? helpText() : `loretoken-agent ${version()}\n`);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message.replaceAll(/^/gm, "loretoken-agent: ")}\n`);
  process.exitCode = 2;
}
