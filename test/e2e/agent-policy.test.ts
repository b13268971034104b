/**
 * Policies end to end: applied, changed, overruled, suspended and deleted under a program that holds more than its share. It goes by
 * each within five seconds, without a restart and with the right bits; also when the agent is killed meanwhile.
 */
import assert from "node:assert/strict";
import { after, type TestContext, test } from "node:test";
import { compressionPolicyResource, type GpuContainer, type GpuNode, gpuNodeResource } from "@loretoken/api";
import { apply, Client, type KubeObject, pathOf } from "@loretoken/kube";
import { codecs } from "@loretoken/telemetry";
import { needsOwnCluster, until } from "@loretoken/test-cluster";
import { policyNumber } from "../../device-plugin/src/policy/number.ts";
import { useAgent } from "./support/agent.ts";
import { GuardedPod } from "./support/guarded.ts";
import { train } from "./support/images.ts";
import { braked, plainTraining, results, trainingOf } from "./support/programs.ts";

const own = { skip: needsOwnCluster };
const { target, agent } = useAgent("agent-policy", {
  gpus: ["1GiB", "1GiB"],
  flags: {
    expansion: "8", // a unit is 1/7 of a card: 140 MiB
    "gpu-access": "nvidia-variables",
    "escalate-seconds": "600",
    "release-seconds": "3",
    "reconcile-seconds": "10", // as it is by default
    "guard-seconds": "2",
  },
  images: [train],
});

/** Milliseconds: what is promised. */
const promised = 5000;
/** Holds twice a unit's share; its launches are slowed down until the last test. */
const training = ["--steps", "40", "--live", "280MiB"];
const modes = { full: 0, hold: 1, off: 2 } as const;
const everyPod = { podSelector: {} };
let client: Client;
let program: GuardedPod;
after(() => client?.close());

test("a program starts without any policy, and packs", own, async () => {
  client = new Client({ config: target().config, userAgent: "test" });
  program = new GuardedPod("trains", target(), agent(), trainingOf(training));
  await program.start();
  await program.until("much is packed", (row) => row.packed_logical + row.host_logical > 100 << 20);
  program.inject(braked(200_000));
  await row("None", "");
  assert.equal(program.row.policy_generation, 0);
});

test("a policy that is applied reaches it within five seconds", own, async (t) => {
  await follows(t, await policy("team", { ...everyPod, mode: "hold" }), "hold");
  await program.told("CompressionHeld");
  const { policyGeneration } = await row("Applied", "team");
  assert.equal(policyGeneration, 1);
  assert.equal(await program.metric("loretoken_container_policy_generation", 'policy="team"'), 1);
  await until(
    "it is no longer pending",
    async () => (await program.metric("loretoken_container_policy_pending")) === 0,
  );
});

test("a codec that is taken away packs nothing more", own, async (t) => {
  await follows(t, await policy("team", { ...everyPod, codecs: { allow: ["constant"] } }), "full");
  await new Promise((resolve) => setTimeout(resolve, 1000)); // what was being packed is done
  const before = program.row;
  await program.until("more was packed", ({ codec_in }) => sum(codec_in) > sum(before.codec_in) + (20 << 20));
  const grown = codecs.filter((_, at) => (program.row.codec_in[at] ?? 0) > (before.codec_in[at] ?? 0));
  assert.ok(grown.length > 0 && grown.every((name) => ["raw", "constant"].includes(name)), grown.join());
});

test("a guardrail's limit that is lowered acts, and is told; raised it lets go", own, async () => {
  await agent().faults(`temperature.${program.gpu}=70`);
  await policy("cool", { guardrails: { thermal: { maxCelsius: 85 } } });
  await until("the node goes by it", async () => (await gpuNode()).status?.policy === "cool", { timeoutMs: 30_000 });
  assert.equal(program.row.backoff, 0);
  const applied = performance.now();
  await policy("cool", { guardrails: { thermal: { maxCelsius: 65 } } });
  await program.until("packing is slowed down", ({ backoff }) => backoff === 1);
  assert.ok(performance.now() - applied < promised, `${performance.now() - applied} ms`);
  assert.match((await program.told("ThermalBackoff")).message, /70\.0 °C, limit 65\.0 °C/);
  await policy("cool", { guardrails: { thermal: { maxCelsius: 85 } } });
  await program.until("packing is as before", ({ backoff }) => backoff === 0);
  await program.told("CompressionResumed");
  await agent().faults();
  await remove("cool");
});

test("of two policies the one with the higher priority holds; suspended, it leaves the other", own, async (t) => {
  const high = { ...everyPod, priority: 10, mode: "hold" };
  await follows(t, await policy("urgent", high), "hold");
  await policy("urgent", { ...high, suspend: true });
  await until("the other one holds", async () => program.row.mode === modes.full, { timeoutMs: promised, everyMs: 50 });
  await row("Applied", "team");
  await policy("urgent", { ...high, priority: -10 });
  await row("Applied", "team");
  await remove("urgent");
});

test("the node's expansion goes down and up under running containers", own, async (t) => {
  await agent().offers(14);
  const applied = performance.now();
  await policy("narrow", { expansion: 4 });
  await agent().offers(6);
  t.diagnostic(`the node offers fewer units after ${Math.round(performance.now() - applied)} ms`);
  await policy("narrow", { expansion: 6 });
  await agent().offers(10);
  assert.equal(program.row.mode, modes.full);
});

test("the agent is killed meanwhile: nothing else is offered, and what was changed is followed", own, async (t) => {
  const { cluster } = target();
  const kill = await agent().killer();
  const before = program.row.policy_generation;
  cluster.components.apiServer.pause();
  try {
    await kill();
    await new Promise((resolve) => setTimeout(resolve, 3000)); // it goes on without an API server
    assert.equal(program.row.policy_generation, before);
  } finally {
    cluster.components.apiServer.resume();
  }
  await cluster.apiReady();
  await agent().offers(10);
  await follows(t, await policy("team", { ...everyPod, mode: "hold" }), "hold", 30_000);
});

test("deleted, the settings hold again, and the program has the right bits", own, async (t) => {
  const deleted = performance.now();
  await remove("team");
  await until(
    "it goes by no policy",
    async () => program.row.policy_generation === 0 && program.row.mode === modes.full,
    {
      timeoutMs: promised,
      everyMs: 50,
    },
  );
  t.diagnostic(`the program goes by the settings after ${Math.round(performance.now() - deleted)} ms`);
  await row("None", "");
  await remove("narrow");
  await agent().offers(14);
  program.inject();
  const { code, log } = await program.ended();
  assert.equal(code, 0, log);
  assert.deepEqual(results(log), results(await plainTraining(training)));
});

/** Applies it. */
async function policy(name: string, spec: object): Promise<KubeObject> {
  return apply(client, {
    resource: compressionPolicyResource,
    object: { metadata: { name }, spec },
    fieldOwner: "test",
  });
}

async function remove(name: string): Promise<void> {
  await client.request({ method: "DELETE", path: pathOf(compressionPolicyResource, { name }) });
}

/** Waits until the program says that it goes by this policy. */
async function follows(
  t: TestContext,
  { metadata = {} }: KubeObject,
  mode: keyof typeof modes,
  timeoutMs = promised,
): Promise<void> {
  const began = performance.now();
  const number = policyNumber(metadata);
  await until(
    `the program goes by ${metadata.name}, generation ${metadata.generation}`,
    async () => program.row.policy_generation === number && program.row.mode === modes[mode],
    { timeoutMs, everyMs: 20 },
  );
  t.diagnostic(`the program goes by it after ${Math.round(performance.now() - began)} ms`);
}

/** The program's row of the GpuNode, once it says so. */
async function row(reason: string, policy: string): Promise<GpuContainer> {
  return until(
    `GpuNode says ${reason} ${policy}`,
    async () => {
      const rows = (await gpuNode()).status?.gpus.flatMap(({ containers }) => containers) ?? [];
      const found = rows.find(({ pod }) => pod === program.name);
      return found?.policyReason === reason && found.policy === policy && found;
    },
    { timeoutMs: 30_000 },
  );
}

async function gpuNode(): Promise<GpuNode> {
  return client.request<GpuNode>({
    method: "GET",
    path: pathOf(gpuNodeResource, { name: target().cluster.nodeName }),
  });
}

function sum(figures: readonly number[]): number {
  return figures.reduce((total, figure) => total + figure, 0);
}
