/**
 * A process that takes part in an election and, while it leads, writes a line to a file every few milliseconds: the time of the
 * machine's monotonic clock, its name, how often the lease had changed hands, and what happened.
 *   node elector.ts <kubeconfig> <name> <file>
 */
import { appendFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { KubeConfig } from "@kubernetes/client-node";
import { Client, identityOf, type Leadership, LeaseElector, NotLeadingError } from "@loretoken/kube";
import { electionTimes } from "./election.ts";

const [kubeconfig = "", name = "", file = ""] = process.argv.slice(2);
const config = new KubeConfig();
config.loadFromFile(kubeconfig);
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());

function note(time: bigint, transitions: number, what: string): void {
  appendFileSync(file, `${time} ${name} ${transitions} ${what}\n`);
}

/** The time is taken before the question: what stands still in between is not counted as a write of later. */
async function write(leadership: Leadership): Promise<void> {
  note(process.hrtime.bigint(), leadership.transitions, "started");
  while (!stop.signal.aborted) {
    const time = process.hrtime.bigint();
    try {
      leadership.assertLeading();
    } catch (error) {
      if (!(error instanceof NotLeadingError)) throw error;
      note(process.hrtime.bigint(), leadership.transitions, "refused");
      return;
    }
    note(time, leadership.transitions, "write");
    await pause(3);
  }
}

const elector = new LeaseElector({
  client: new Client({ config, userAgent: "loretoken-test-elector" }),
  namespace: "default",
  name: "elected",
  identity: identityOf(name),
  onStarted: write,
  onError: (error) => console.error(String(error)),
  ...electionTimes,
});
await elector.run(stop.signal);
process.exit(0);
