/** The operator's program: loretoken-operator. */
import { Client, loadKubeConfig, systemClock } from "@loretoken/kube";
import { ConfigError, createLog, helpText, messageOf } from "@loretoken/service";
import { loadConfig, program } from "./config/load.ts";
import type { Config } from "./config/schema.ts";
import { Operator } from "./operator.ts";
import { version } from "./version.ts";

async function run(config: Config): Promise<void> {
  const log = createLog(config.logLevel);
  const operator = new Operator(config, {
    version: version(),
    log,
    clock: systemClock,
    client: new Client({ config: loadKubeConfig(), userAgent: `loretoken-operator/${version()}`, timeout: 10_000 }),
    namespace: config.namespace ?? (process.env.POD_NAMESPACE || "loretoken"),
  });
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
