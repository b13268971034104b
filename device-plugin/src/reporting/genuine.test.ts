/** Telemetry as the real shim writes it, on a simulated card (make build first). */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { until } from "@loretoken/kube/testing";
import { HostProcesses } from "@loretoken/telemetry";
import type { Holding } from "../holding.ts";
import { Metrics } from "./metrics.ts";
import type { TelemetryWatch } from "./telemetry-watch.ts";
import { Node, Recorded } from "./testing/node.ts";

const root = join(import.meta.dirname, "../../..");
const build = process.env.LORETOKEN_BUILD ?? join(root, "build/release");
const example = join(build, "bin/lt_train_example");

/** The example program, with the shim, on a card that is too small for it. */
function start(context: TestContext, holding: Holding, kernels = "lib/sim/loretoken_kernels_sim.so"): ChildProcess {
  assert.ok(existsSync(example), `${example} is missing: run make build`);
  const child = spawn(example, ["--live", "400MiB", "--steps", "400"], {
    stdio: "ignore",
    env: {
      ...process.env,
      LD_LIBRARY_PATH: join(build, "lib/sim"),
      LD_PRELOAD: join(build, "lib/libloretoken.so"),
      LORETOKEN_SIM_DEVICES: "96MiB",
      LORETOKEN_VIRTUAL: "512MiB",
      LORETOKEN_KERNELS: join(build, kernels),
      LORETOKEN_TELEMETRY: holding.telemetry,
    },
  });
  context.after(() => child.kill("SIGKILL"));
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

test("a program's figures while it runs, after it was killed, and with its successor in the same container", {
  timeout: 60_000,
}, async (context) => {
  const node = new Node(context);
  const holding = node.hold("a");
  const processes = new HostProcesses({ rescanAfter: 0 });
  const watch = node.watch(new Recorded(), { alive: processes.alive, now: Date.now });
  const figures = () => {
    watch.refresh(0);
    const { usage, counters } = watch.containers[0] ?? assert.fail();
    return { ...usage, packs: counters.packs };
  };

  const first = start(context, holding);
  await until("packed", () => figures().packs > 20 && figures().packed_bytes > 0, 30_000);
  const running = figures();
  assert.equal(running.processes, 1);
  assert.ok(running.raw_bytes > 0 && running.raw_bytes <= running.held_bytes && running.held_bytes <= 96 << 20);
  assert.ok(running.packed_logical > running.packed_bytes);

  await kill(first);
  const ended = figures();
  assert.deepEqual([ended.processes, ended.held_bytes, ended.packed_bytes, ended.pins[0] ?? 0], [0, 0, 0, 0]);
  assert.ok(ended.packs >= running.packs);
  assert.ok((await scrape(node, watch)).includes(`loretoken_container_packs_total{namespace="team"`));

  const second = start(context, holding);
  await until("packed again", () => figures().packs > ended.packs + 5, 30_000);
  assert.equal(figures().processes, 1);
  await kill(second);
});

test("a shim that cannot start is an event on the pod, once, and the mode says off", {
  timeout: 60_000,
}, async (context) => {
  const node = new Node(context);
  const holding = node.hold("a");
  const recorder = new Recorded();
  const watch = node.watch(recorder, { now: Date.now });
  const child = start(context, holding, "lib/no-kernels");
  const ended = once(child, "exit");
  await until(
    "event",
    () => {
      watch.poll();
      return recorder.inputs.length > 0;
    },
    30_000,
  );
  await ended;
  watch.refresh(0);
  watch.poll();
  assert.deepEqual(
    recorder.inputs.map(({ reason, regarding }) => [reason, regarding.name]),
    [["DriverProblem", "train-0"]],
  );
  assert.match(recorder.inputs[0]?.message ?? "", /mode full to off/);
  assert.ok((await scrape(node, watch)).includes(`gpu_uuid="${holding.gpuUuid}",mode="off"} 1`));
});

async function scrape(node: Node, watch: TelemetryWatch): Promise<string> {
  const metrics = new Metrics({
    version: "test",
    watch,
    gpus: () => [],
    holdings: () => node.holdings,
    recorder: { figures: { waiting: 0, delivered: 0, refused: 0, rejected: 0, retries: 0 } },
    gpuNode: { writes: { ok: 0, error: 0 } },
  });
  return (await metrics.render()).join("");
}
