/** The operator's program: loretoken-operator. */
import { Client, loadKubeConfig, systemClock } from "@loretoken/kube";
import { ConfigError, createLog, helpText, type Log, messageOf } from "@loretoken/service";
import { loadConfig, program } from "./config/load.ts";
import type { Config } from "./config/schema.ts";
import { Operator } from "./operator.ts";
import { version } from "./version.ts";

/** @returns undefined, and the reason in the log, if it is not known where the cluster is */
function operatorOf(config: Config, log: Log): Operator | undefined {
  try {
    const client = { config: loadKubeConfig(), userAgent: `${program.name}/${version()}`, timeout: 10_000 };
    return new Operator(config, {
      version: version(),
      log,
      clock: systemClock,
      client: new Client(client),
      namespace: config.namespace ?? (process.env.POD_NAMESPACE || "loretoken"),
    });
  } catch (error) {
    log.error({ error: messageOf(error) }, "start failed");
    process.exitCode = 1;
    return undefined;
  }
}

async function run(config: Config): Promise<void> {
  const log = createLog(config.logLevel);
  const operator = operatorOf(config, log);
  if (operator === undefined) return;
  let ending = false;
  const end = (signal: string): void => {
    if (ending) return;
    ending = true;
    log.info({ signal }, "ending");
    operator.stop().then(
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
    const ports = await operator.start();
    if (ports !== undefined) log.info({ version: version(), ...ports, pid: process.pid }, "started");
  } catch (error) {
    log.error({ error: messageOf(error) }, "start failed");
    process.exit(1);
  }
}

try {
  const line = loadConfig(process.argv.slice(2));
  if ("config" in line) await run(line.config);
  else process.stdout.write(line.show === "help" ? helpText(program) : `${program.name} ${version()}\n`);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message.replaceAll(/^/gm, `${program.name}: `)}\n`);
  process.exitCode = 2;
}
