/**
 * Guardrails end to end: heat, power, faults of the GPU, slowness and flipped bits reach the shim of a program that holds more
 * than its share. The shim acts, the program's bytes stay right or it sees an error, and what happened is told once, at the right
 * pod, with its figures; metrics agree.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CoreV1Api } from "@kubernetes/client-node";
import { needsOwnCluster, until } from "@loretoken/test-cluster";
import { useAgent } from "./support/agent.ts";
import { GuardedPod, type Program } from "./support/guarded.ts";
import { directed, train } from "./support/images.ts";
import {
  braked,
  directedOf,
  flippedBits,
  hashes,
  plainDirected,
  plainTraining,
  results,
  trainingOf,
  wrongKernels,
} from "./support/programs.ts";

const own = { skip: needsOwnCluster };
const { target, agent } = useAgent("agent-guardrails", {
  gpus: ["1GiB", "1GiB"],
  flags: {
    expansion: "8", // a unit is 1/7 of a card: 140 MiB
    "gpu-access": "nvidia-variables",
    "max-temperature": "85",
    "max-power-percent": "90",
    "max-penalty-percent": "40", // a simulated card is slow
    "escalate-seconds": "600",
    "release-seconds": "3",
  },
  images: [train, directed],
});
const unitsOfGpu = 7;

/** Holds twice a unit's share. */
const training = ["--steps", "40", "--live", "280MiB"];
const modest = ["--steps", "40", "--live", "40MiB"];
/** On the other GPU from first to last, with a small program that is never hurried. */
let bystander: GuardedPod;

test("two pods run, each on a GPU of its own; one holds more than its share", own, async () => {
  bystander = pod("bystander", trainingOf(modest));
  await bystander.start(unitsOfGpu);
  bystander.inject(braked(500_000));
  const pressed = await overcommitted("pressed");
  assert.notEqual(pressed.gpuUuid, bystander.gpuUuid);
  await rightBits(pressed, training);
  assert.deepEqual(await pressed.counts(), {});
  await pressed.remove();
});

test("heat slows packing down until the GPU is cool", own, async () => {
  const hot = await overcommitted("hot");
  await agent().faults(`temperature.${hot.gpu}=91`);
  await hot.until("packing is slowed down", ({ backoff }) => backoff === 1);
  const { message } = await hot.told("ThermalBackoff");
  assert.match(message, new RegExp(`${hot.gpuUuid}; .*hot; 91\\.0 °C, limit 85\\.0 °C$`));
  assert.equal(await hot.guardrailEvents("thermal"), 1);
  assert.equal(await hot.metric("loretoken_container_mode", 'mode="full"'), 1);
  await agent().faults();
  await hot.until("packing is as before", ({ backoff }) => backoff === 0);
  await hot.told("CompressionResumed");
  await rightBits(hot, training);
  assert.deepEqual(await hot.counts(), { ThermalBackoff: 1, CompressionResumed: 1 });
  assert.equal(await hot.guardrailEvents("thermal"), 2);
  await leftAlone(bystander);
  assert.match(await onNode("ThermalBackoff"), /91\.0 °C, limit 85\.0 °C; packing at 1\/2 of its rate/);
  await hot.remove();
});

test("a fault of the GPU puts packing off until it has recovered", own, async () => {
  const ill = await overcommitted("ill");
  await agent().faults(`xid=79:${ill.gpu}`);
  await ill.until("its mode is hold", ({ mode }) => mode === 1);
  assert.match((await ill.told("DeviceFault")).message, /reported a fault; XID 79; mode full to hold$/);
  assert.equal(await ill.metric("loretoken_container_mode", 'mode="hold"'), 1);
  assert.equal(await ill.guardrailEvents("device"), 1);
  await agent().faults();
  await ill.until("its mode is full", ({ mode }) => mode === 0);
  await ill.told("CompressionResumed");
  await rightBits(ill, training);
  assert.deepEqual(await ill.counts(), { DeviceFault: 1, CompressionResumed: 1 });
  assert.equal(await ill.guardrailEvents("device"), 2);
  await leftAlone(bystander);
  assert.match(await onNode("XidError"), new RegExp(`${ill.gpuUuid}.*XID 79`));
  await ill.remove();
});

test("an event of the ring is told once though the agent is killed before and after it could", own, async () => {
  const { cluster } = target();
  const cut = await overcommitted("cut");
  const kill = await agent().killer();
  cluster.components.apiServer.pause();
  try {
    await agent().faults(`temperature.${cut.gpu}=93`);
    await until("it is in the ring", async () => cut.ring("thermal").length === 1);
    await kill();
  } finally {
    cluster.components.apiServer.resume();
  }
  await cluster.apiReady();
  assert.match((await cut.told("ThermalBackoff")).message, /93\.0 °C, limit 85\.0 °C/);
  await agent().kill();
  await agent().faults();
  await cut.told("CompressionResumed");
  await rightBits(cut, training);
  assert.deepEqual(await cut.counts(), { ThermalBackoff: 1, CompressionResumed: 1 });
  assert.equal(await cut.guardrailEvents("thermal"), 2);
  await cut.remove();
});

test("slowness leaves raw what costs most, and holds; when it ends packing resumes", own, async () => {
  const neighbour = pod("neighbour", trainingOf(modest));
  await neighbour.start();
  neighbour.inject(braked(500_000));
  const rounds = { LT_FILLERS: "120", LT_ROUNDS: "6" };
  const slow = pod("slow", directedOf("cycle", { ...rounds, LORETOKEN_PENALTY_WINDOW: "1500" }));
  await slow.start();
  assert.equal(slow.gpuUuid, neighbour.gpuUuid);
  slow.inject("slow=lt_unpack:40000");
  await slow.told("PenaltyBackoff");
  slow.inject("slow=cuModuleGetFunction:250000"); // what the program asks for before each launch, and the shim never
  const { message } = await slow.told("CompressionResumed");
  assert.match(message, /launches waited .* % of the time, limit 40\.0 %/);
  await slow.until("it has its mode and nothing is left raw", ({ mode, pins }) => mode === 0 && pins[9] === 0);
  slow.inject();
  await plainEnd(slow, "cycle", rounds);
  const ring = slow.ring("penalty");
  const expected = Object.groupBy(ring, ({ eased, to_mode: to, from_mode: from }) =>
    eased === 1 ? "CompressionResumed" : to === 2 && from !== 2 ? "CompressionDisabled" : "PenaltyBackoff",
  );
  await until("all is told", async () => {
    const found = await slow.counts();
    assert.deepEqual(found, Object.fromEntries(Object.entries(expected).map(([name, of]) => [name, of?.length])));
    return true;
  });
  assert.ok(ring.every(({ figure, limit, eased }) => limit === 400 && (eased === 1 || figure > limit)));
  assert.equal(await slow.guardrailEvents("penalty"), ring.length);
  await leftAlone(neighbour);
  await rightBits(neighbour, modest);
  await slow.remove();
  await neighbour.remove();
});

test("a flipped bit of what lies packed ends in an error that the program sees", own, async () => {
  const damaged = pod("damaged", trainingOf(training, { LORETOKEN_HOST: "0" }));
  await damaged.start();
  await packed(damaged);
  damaged.inject(flippedBits);
  const { code, log } = await damaged.ended();
  assert.equal(code, 5, log);
  assert.match(log, /lt_train_example: cu\w+ failed: CUDA_ERROR_ECC_UNCORRECTABLE/);
  await mismatchesAgree(damaged, "checksum");
  assert.match((await damaged.told("IntegrityMismatch")).message, /mismatches, limit 1$/);
  await leftAlone(bystander);
  await damaged.remove();
});

test("a flipped bit of a blob whose raw bytes are there costs nothing", own, async () => {
  const rebuilt = await run("rebuilt", "damaged_kept", { LORETOKEN_HOST: "0", LT_INJECT: flippedBits });
  await mismatchesAgree(rebuilt, "verify");
  assert.match((await rebuilt.told("IntegrityMismatch")).message, /a kept blob.*limit 1$/);
  assert.equal(rebuilt.row.mode, 0);
  await rebuilt.remove();
});

test("what was packed wrongly is not taken: its raw bytes stay", own, async () => {
  const wrong = await run("wrong", "keep_all", wrongKernels);
  await mismatchesAgree(wrong, "verify");
  assert.match((await wrong.told("IntegrityMismatch")).message, /does not decode to its bytes/);
  await wrong.remove();
});

test(
  "with integrity passthrough a mismatch turns compression off, and all bytes are kept without it",
  own,
  async () => {
    await agent().configure({ integrity: "passthrough" });
    const off = await run("off", "keep_all", wrongKernels);
    await mismatchesAgree(off, "verify");
    await off.told("IntegrityMismatch");
    assert.equal(off.row.mode, 2);
    const changes = off.ring("integrity").filter(({ from_mode: from, to_mode: to }) => from !== to);
    assert.deepEqual([changes.length, changes[0]?.to_mode], [1, 2]);
    await off.remove();
  },
);

test("power that stays over its limit leads to hold, then off, and back step by step", own, async () => {
  await agent().configure({ "escalate-seconds": "3" });
  const drawing = await overcommitted("drawing");
  await agent().faults(`power_watts.${drawing.gpu}=690`);
  await drawing.until("its mode is off", ({ mode }) => mode === 2);
  assert.equal(await drawing.metric("loretoken_container_mode", 'mode="off"'), 1);
  assert.match((await drawing.told("PowerBackoff", 2)).message, /690 W, limit 630 W; mode full to hold$/);
  assert.match((await drawing.told("CompressionDisabled")).message, /690 W, limit 630 W; mode hold to off$/);
  await agent().faults();
  await drawing.until("all is as before", ({ mode, backoff }) => mode === 0 && backoff === 0);
  await drawing.told("CompressionResumed", 3);
  await rightBits(drawing, training);
  assert.deepEqual(await drawing.counts(), { PowerBackoff: 2, CompressionDisabled: 1, CompressionResumed: 3 });
  assert.equal(await drawing.guardrailEvents("power"), 6);
  await leftAlone(bystander);
  await drawing.remove();
});

test("the bystander saw nothing of all that", own, async () => {
  await leftAlone(bystander);
  await rightBits(bystander, modest);
});

function pod(name: string, program: Program): GuardedPod {
  return new GuardedPod(name, target(), agent(), program);
}

/** A program that has more packed than its share, and stays there. */
async function overcommitted(name: string): Promise<GuardedPod> {
  const program = pod(name, trainingOf(training));
  await program.start();
  await packed(program);
  program.inject(braked(100_000));
  return program;
}

async function packed(program: GuardedPod): Promise<void> {
  await program.until(
    "much is packed",
    ({ packed_logical, host_logical }) => packed_logical + host_logical > 100 << 20,
  );
}

/** One of the directed programs, to its end. */
async function run(name: string, scenario: string, env: Record<string, string>): Promise<GuardedPod> {
  const program = pod(name, directedOf(scenario, { LORETOKEN_SIM_CONTROL: "/inject", ...env }));
  await program.start();
  await plainEnd(program, scenario);
  await leftAlone(bystander);
  return program;
}

/** Waits for the end of a directed program, which must be that of plain CUDA. */
async function plainEnd(program: GuardedPod, scenario: string, env: Record<string, string> = {}): Promise<void> {
  assert.deepEqual(await resultOf(program, hashes), hashes(await plainDirected(scenario, env)));
}

/** Lets it run to its end, which must be that of plain CUDA. */
async function rightBits(program: GuardedPod, args: readonly string[]): Promise<void> {
  program.inject();
  assert.deepEqual(await resultOf(program, results), results(await plainTraining(args)));
}

async function resultOf(program: GuardedPod, find: (output: string) => string[]): Promise<string[]> {
  const { code, log } = await program.ended();
  assert.equal(code, 0, log);
  return find(log);
}

/** As many mismatches as were counted were written to the ring, and told at this pod as one Event. */
async function mismatchesAgree(program: GuardedPod, kind: "verify" | "checksum"): Promise<void> {
  const { row } = program;
  const failures = { verify: row.verify_failures, checksum: row.checksum_failures };
  assert.ok(failures[kind] >= 1, "nothing was found");
  const all = failures.verify + failures.checksum;
  assert.equal(program.ring("integrity").length, all);
  await program.told("IntegrityMismatch", all);
  assert.deepEqual(await program.counts(), { IntegrityMismatch: all });
  assert.equal(await program.guardrailEvents("integrity"), all);
  for (const [name, count] of Object.entries(failures)) {
    const label = `kind="${name}"`;
    assert.equal(await program.metric("loretoken_container_integrity_failures_total", label), count);
  }
}

async function leftAlone(program: GuardedPod): Promise<void> {
  assert.deepEqual(await program.events(), []);
  assert.deepEqual(program.telemetry.events, []);
}

/** The message of the node's Event of this reason. */
async function onNode(reason: string): Promise<string> {
  const { config, cluster } = target();
  const selector = { namespace: "default", fieldSelector: `involvedObject.name=${cluster.nodeName}` };
  return until(`${reason} on the node`, async () => {
    const { items } = await config.makeApiClient(CoreV1Api).listNamespacedEvent(selector);
    return items.find((event) => event.reason === reason)?.message;
  });
}
