/**
 * What keeps the operator in touch with the API server (lib/kube), against a real one that is paused, killed, cut off and whose
 * etcd forgets and dies. Needs no rights.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { apply, Client, FieldConflictError, hasCode, pathOf, type Resource, retry } from "@loretoken/kube";
import { Cluster, needsOwnCluster, until } from "@loretoken/test-cluster";
import { Election, electionTimes, now } from "./support/election.ts";
import { compact } from "./support/etcd.ts";
import { configMaps, Follower, World } from "./support/followers.ts";
import { Gate } from "./support/gate.ts";

const quotas: Resource = { apiVersion: "v1", kind: "ResourceQuota", plural: "resourcequotas", namespaced: true };

test("reflectors, a controller and an election, while the control plane is disturbed", {
  skip: needsOwnCluster,
  timeout: 300_000,
}, async (context) => {
  const cluster = await Cluster.start({ kind: "control", name: "kube-library" });
  const election = new Election(await cluster.kubeconfigFile(), join(cluster.folder, "election.log"));
  const gate = await new Gate(await cluster.apiPort()).open();
  const client = new Client({ config: await cluster.kubeConfig(), userAgent: "loretoken-test", timeout: 3000 });
  const world = new World(client);
  const followers = [
    // One that hears at once of whatever happens, one whose watches end all the time, one that can be cut off.
    new Follower("direct", await cluster.kubeConfig(), {}),
    new Follower("short", await cluster.kubeConfig(), { watchSeconds: 1, pageSize: 3 }),
    new Follower("gated", gate.through(await cluster.kubeConfig()), { pageSize: 5 }),
  ] as const;
  context.after(async () => {
    await election.stop();
    for (const follower of followers) await follower.stop();
    client.close();
    await gate.close();
    await cluster.stop();
  });
  await world.prepare();
  for (const follower of followers) follower.start();
  for (const name of ["a", "b"]) election.start(name);
  await reflectors(context, cluster, world, gate, followers);
  await leases(context, cluster, election);
  await context.test("apply", () => conflicts(client));
});

async function reflectors(
  context: TestContext,
  cluster: Cluster,
  world: World,
  gate: Gate,
  followers: readonly [Follower, Follower, Follower],
): Promise<void> {
  const { apiServer, etcd } = cluster.components;
  const [direct, short, gated] = followers;
  /** All have what the server has, have told it without a fault, and the controller has made of it what it is to make. */
  const settled = async (): Promise<void> => {
    for (const follower of followers) await world.agrees(follower);
  };

  await context.test("each change is told once; what leaves the selector is gone", async () => {
    await settled();
    const before = direct.mirror.log.length;
    await world.create("once", "1");
    await world.update("once", "2");
    await world.relabel("once", "other");
    await world.relabel("once", "yes");
    await world.delete("once");
    await settled();
    const told = direct.mirror.log.slice(before).map((line) => line.split(" ")[0]);
    assert.deepEqual(told, ["add", "update", "delete", "add", "delete"]);
  });

  await context.test("objects of a megabyte", async () => {
    await world.create("large-1", "x".repeat(900_000));
    await world.update("large-1", "ö".repeat(450_000));
    await settled();
    assert.equal(direct.reflector.store.get("library/large-1")?.data?.value?.length, 450_000);
  });

  await context.test("connections are reset, again and again", async () => {
    for (let round = 0; round < 10; ++round) {
      gate.cut();
      await world.change();
      await pause(50);
    }
    await settled();
    assert.equal(gated.lists, 1);
    assert.ok(gated.ends.includes("broken"));
  });

  await context.test("a connection that stays open and says nothing is noticed", async () => {
    gate.mute();
    await world.change();
    await settled();
    assert.equal(gated.lists, 1);
    assert.ok(gated.ends.includes("silent"), gated.ends.join());
  });

  await context.test("the API server stands still for longer than requests wait", async () => {
    apiServer.pause();
    const changing = world.change();
    await pause(8000);
    apiServer.resume();
    await changing;
    await settled();
  });

  await context.test("the API server is killed and started again", async () => {
    const changing = world.change();
    await apiServer.kill();
    await pause(1000);
    await apiServer.start();
    await changing;
    await settled();
  });

  await context.test("deletions during a gap that etcd has forgotten are told, and it is one list more", async () => {
    await world.create("dies", "1");
    await world.create("anew", "1");
    await settled();
    const { lists } = gated;
    const missed = gated.mirror.missed;
    gate.shut();
    await world.delete("dies");
    await world.delete("anew");
    await world.create("anew", "2");
    await compact(cluster.control.ports.etcd);
    await apiServer.kill();
    await apiServer.start();
    await cluster.apiReady();
    await world.change();
    gate.let();
    await settled();
    assert.equal(gated.lists, lists + 1);
    assert.ok(gated.ends.includes("expired"), gated.ends.join());
    assert.ok(gated.mirror.missed >= missed + 2);
  });

  await context.test("etcd is killed and started again", async () => {
    const changing = world.change();
    await etcd.kill();
    await pause(2000);
    await etcd.start();
    await changing;
    await settled();
  });

  await context.test("what was asked of the server was little, and no handler failed", () => {
    assert.ok(short.ends.includes("ended"), short.ends.join());
    for (const { name, lists, failures } of followers) {
      context.diagnostic(`${name}: ${lists} lists, ${failures.length} failures`);
      assert.ok(lists <= 4, `${lists} lists`); // the first, two starts of the API server, one of etcd
      assert.deepEqual(
        failures.filter((failure) => failure.startsWith("handler")),
        [],
      );
    }
  });
}

async function leases(context: TestContext, cluster: Cluster, election: Election): Promise<void> {
  const { apiServer } = cluster.components;
  const { leaseDuration, renewDeadline, retryPeriod } = electionTimes;
  const leader = (): Promise<string> => until("someone leads", () => election.leader(), { everyMs: 20 });
  const other = (name: string): string => (name === "a" ? "b" : "a");
  const follows = (name: string, timeoutMs: number): Promise<boolean> =>
    until(`${name} leads`, () => election.leader() === name, { everyMs: 20, timeoutMs });

  await context.test(
    "a leader that stands still is followed by the other, and writes nothing when it wakes",
    async () => {
      const first = await leader();
      election.signal(first, "SIGSTOP");
      const since = now();
      await follows(other(first), leaseDuration + 4 * retryPeriod + 2000);
      election.signal(first, "SIGCONT");
      await pause(2000);
      const late = election.writes.filter(({ name, time }) => name === first && time > since + 100);
      assert.deepEqual(late, []);
      assert.ok(election.lines.some(({ name, what, time }) => name === first && what === "refused" && time > since));
    },
  );

  await context.test("while the API server stands still nobody writes for longer than renewDeadline", async () => {
    await leader();
    apiServer.pause();
    const since = now();
    await pause(renewDeadline + 2000);
    apiServer.resume();
    const last = election.writes.findLast(({ time }) => time < since + renewDeadline + 2000)?.time ?? 0;
    assert.ok(last - since <= renewDeadline, `${last - since} ms`);
    assert.ok(last - since >= renewDeadline - 3 * retryPeriod, `stopped early: ${last - since} ms`);
    await leader();
  });

  await context.test(
    "a leader that is killed is followed once its lease has run out; one that ends lets the next in",
    async () => {
      const first = await leader();
      await election.end(first, "SIGKILL");
      const since = now();
      await follows(other(first), leaseDuration + 4 * retryPeriod + 2000);
      const second = election.writes.findLast(({ time, name }) => time > since && name !== first);
      assert.ok(second !== undefined);
      election.start(first);
      await pause(3000);
      await election.end(other(first), "SIGTERM");
      await follows(first, 4 * retryPeriod + 1000);
    },
  );

  await context.test("in all this time never two led", () => {
    const { lines, writes } = election;
    // Terms are numbered by the server: in the order of time they only grow, and each belongs to one.
    const owners = new Map<number, string>();
    for (const [at, { name, transitions }] of writes.entries()) {
      assert.ok(
        transitions >= (writes[at - 1]?.transitions ?? 0),
        `${name} wrote in term ${transitions}, which was over`,
      );
      assert.equal(owners.get(transitions) ?? name, name);
      owners.set(transitions, name);
    }
    context.diagnostic(`${writes.length} writes in ${owners.size} terms, ${lines.length - writes.length} other lines`);
    assert.ok(owners.size >= 4);
  });
}

async function conflicts(client: Client): Promise<void> {
  const request = { resource: configMaps, fieldOwner: "operator" };
  const object = { metadata: { name: "owned", namespace: "default" }, data: { value: "1" } };
  await apply(client, { ...request, object, fieldOwner: "someone else" });
  const wanted = { ...object, data: { value: "2" } };
  const refused = (names: string[]) => (error: unknown) => {
    assert.ok(error instanceof FieldConflictError);
    assert.deepEqual(error.managers, names);
    return true;
  };
  await assert.rejects(apply(client, { ...request, object: wanted, force: false }), refused(["someone else"]));
  const from = (...names: string[]) => ({ ...request, object: wanted, force: { from: names } });
  await assert.rejects(apply(client, from("an earlier one")), refused(["someone else"]));
  await apply(client, from("an earlier one", "someone else"));
  const stale = { ...wanted, metadata: { ...wanted.metadata, resourceVersion: "1" } };
  await assert.rejects(apply(client, { ...request, object: stale }), (error) => hasCode(error, 409));

  const quota = { metadata: { name: "quota", namespace: "default" } };
  const status = (pods: string) => ({ ...quota, status: { hard: { pods } } });
  const ofStatus = { resource: quotas, subresource: "status" } as const;
  await assert.rejects(apply(client, { ...ofStatus, object: status("1"), fieldOwner: "x" }), (error) =>
    hasCode(error, 404),
  );
  await apply(client, { resource: quotas, object: { ...quota, spec: { hard: { pods: "1" } } }, fieldOwner: "x" });
  await apply(client, { ...ofStatus, object: status("1"), fieldOwner: 'the "other"' });
  const error: unknown = await apply(client, { ...ofStatus, object: status("2"), fieldOwner: "x", force: false }).catch(
    (thrown: unknown) => thrown,
  );
  refused(['the "other"'])(error);
  const [conflict] = (error as FieldConflictError).conflicts;
  assert.deepEqual([conflict?.field, conflict?.subresource], [".status.hard.pods", "status"]);
}

test("without a watch cache, etcd's own word for what it has forgotten is understood too", {
  skip: needsOwnCluster,
  timeout: 120_000,
}, async (context) => {
  const cluster = await Cluster.start({
    kind: "control",
    name: "kube-library-uncached",
    apiServerArguments: ["--watch-cache=false"],
  });
  const gate = await new Gate(await cluster.apiPort()).open();
  const client = new Client({ config: await cluster.kubeConfig(), userAgent: "loretoken-test", timeout: 3000 });
  const world = new World(client);
  const follower = new Follower("gated", gate.through(await cluster.kubeConfig()), { pageSize: 2 });
  context.after(async () => {
    await follower.stop();
    client.close();
    await gate.close();
    await cluster.stop();
  });
  await world.prepare();
  follower.start();
  await world.change();
  await world.agrees(follower);
  gate.shut();
  await world.change();
  await compact(cluster.control.ports.etcd);
  await world.change();
  gate.let();
  await world.agrees(follower);
  assert.ok(follower.ends.includes("expired"), follower.ends.join());
  await retry(() => client.request({ method: "GET", path: pathOf(configMaps, { namespace: "library" }) }));
});
