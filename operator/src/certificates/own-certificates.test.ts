import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import test from "node:test";
import { Client, hour, lives, type Replica, TestCluster } from "../testing/replicas.ts";
import { parseAuthorities, toCaBundle, toSecretData } from "./authorities.ts";
import { Authority } from "./authority.ts";

const authoritiesOf = ({ secret }: TestCluster): Authority[] => parseAuthorities(secret.value ?? {});

/** Steps all replicas every so often until `end`. */
async function live(cluster: TestCluster, replicas: readonly Replica[], milliseconds: number, each = 5000) {
  const end = cluster.now + milliseconds;
  while (cluster.now < end) {
    await cluster.clock.advance(each);
    for (const replica of replicas) await replica.step();
  }
}

test("the first look makes an authority, has it trusted, and serves a leaf", async () => {
  const cluster = new TestCluster();
  const replica = cluster.replica();
  await replica.step();
  const { served } = replica;
  assert.equal(new Client().objection(served?.certificate ?? "", cluster.bundle.value ?? "", cluster.now), "");
  const leaf = new X509Certificate(served?.certificate ?? "");
  assert.equal(leaf.checkHost("webhook.loretoken.svc"), "webhook.loretoken.svc");
  assert.equal(leaf.checkIP("127.0.0.1"), "127.0.0.1");
  assert.equal(leaf.checkHost("other.svc"), undefined);
  assert.equal(leaf.ca, false);
  assert.equal(leaf.validToDate.getTime(), cluster.now + hour);
  assert.deepEqual(replica.log.messages, ["authorities kept", "trusted authorities written", "certificate served"]);
});

test("two replicas that begin at once: one makes the authority, the other takes it", async () => {
  for (let round = 0; round < 5; ++round) {
    const cluster = new TestCluster();
    const replicas = [cluster.replica(), cluster.replica()];
    await Promise.all(replicas.map((replica) => replica.step()));
    assert.equal(authoritiesOf(cluster).length, 1);
    assert.equal(cluster.secret.writes, 1);
    for (const { served } of replicas) {
      assert.equal(new Client().objection(served?.certificate ?? "", cluster.bundle.value ?? "", cluster.now), "");
    }
  }
});

test("a leaf is renewed at two thirds of its life, an authority followed at two thirds of its", async () => {
  const cluster = new TestCluster();
  const replica = cluster.replica();
  await replica.step();
  const [first, leaf] = [authoritiesOf(cluster)[0], replica.served];
  await live(cluster, [replica], (hour * 2) / 3 - 10_000);
  assert.equal(replica.served, leaf);
  await live(cluster, [replica], 10_000);
  assert.notEqual(replica.served, leaf);
  await live(cluster, [replica], lives.authority - 5 * hour);
  assert.equal(authoritiesOf(cluster).length, 1);
  await live(cluster, [replica], hour);
  const [second, old] = authoritiesOf(cluster);
  assert.equal(old?.fingerprint, first?.fingerprint);
  assert.equal(replica.certificates.current?.authority, second?.fingerprint);
  await live(cluster, [replica], 4 * hour);
  assert.deepEqual(
    authoritiesOf(cluster).map((one) => one.fingerprint),
    [second?.fingerprint],
  );
});

test("a new authority signs only once it was in the caBundle for the time to settle", async () => {
  const cluster = new TestCluster();
  const replica = cluster.replica();
  await replica.step();
  const first = replica.certificates.current?.authority;
  await live(cluster, [replica], (lives.authority * 2) / 3 - 5000);
  replica.trust.broken = true; // the new one cannot be published
  await live(cluster, [replica], hour);
  assert.equal(replica.certificates.current?.authority, first);
  replica.trust.broken = false;
  await live(cluster, [replica], lives.settle);
  assert.equal(authoritiesOf(cluster).length, 2);
  assert.equal(replica.certificates.current?.authority, first);
  await live(cluster, [replica], 10_000);
  assert.notEqual(replica.certificates.current?.authority, first);
});

test("a caBundle that someone edits is repaired at the next look, and the signer stays", async () => {
  const cluster = new TestCluster();
  const replicas = [cluster.replica(), cluster.replica()];
  await live(cluster, replicas, lives.settle * 2);
  const right = cluster.bundle.value;
  const served = replicas.map((replica) => replica.served);
  const stranger = toCaBundle([await Authority.create({ now: cluster.now, life: hour })]);
  for (const wrong of ["", "bm9uc2Vuc2U=", stranger, `${right}`.slice(0, -40)]) {
    cluster.bundle.set(wrong);
    await live(cluster, replicas, 5000);
    assert.equal(cluster.bundle.value, right);
    assert.deepEqual(
      replicas.map((replica) => replica.served),
      served,
    );
  }
});

test("an authority that another replica published between two reads is not taken out of the bundle", async () => {
  for (const before of ["right", "spoilt"]) {
    const cluster = new TestCluster();
    const replica = cluster.replica();
    await replica.step();
    const next = await Authority.create({ now: cluster.now + 1000, life: lives.authority });
    const both = [next, ...authoritiesOf(cluster)];
    if (before === "spoilt") cluster.bundle.set("");
    const seen: string[] = [];
    replica.secret.afterRead = () => {
      replica.secret.afterRead = () => {};
      cluster.secret.set(toSecretData(both));
      cluster.bundle.set(toCaBundle(both));
      cluster.bundle.written = (value) => seen.push(value);
    };
    await replica.step();
    assert.deepEqual([seen, cluster.bundle.value], [[], toCaBundle(both)], before);
  }
});

test("a Secret that was deleted or spoilt is put back by who knows it", async () => {
  const cluster = new TestCluster();
  const replicas = [cluster.replica(), cluster.replica()];
  await live(cluster, replicas, lives.settle * 2);
  const [right, served] = [cluster.secret.value, replicas.map((replica) => replica.served)];
  const other = toSecretData([await Authority.create({ now: cluster.now, life: hour })]);
  const mixed = { "ca.crt": right?.["ca.crt"] ?? "", "ca.key": other["ca.key"] ?? "" };
  for (const wrong of [undefined, {}, { "ca.crt": "eA==", "ca.key": "eA==" }, mixed]) {
    cluster.secret.set(wrong);
    await live(cluster, replicas, 5000);
    assert.deepEqual(cluster.secret.value, right);
    assert.deepEqual(
      replicas.map((replica) => replica.served),
      served,
    );
  }
});

test("nobody knows the old authority: a new one is trusted and served at once", async () => {
  const cluster = new TestCluster();
  await cluster.replica().step();
  cluster.secret.set(undefined);
  const replica = cluster.replica();
  await replica.step();
  assert.equal(new Client().objection(replica.served?.certificate ?? "", cluster.bundle.value ?? "", cluster.now), "");
});

test("without a webhook configuration it serves, and says what is missing", async () => {
  const cluster = new TestCluster();
  cluster.bundle.set(undefined);
  const replica = cluster.replica();
  await replica.step();
  assert.ok(replica.served !== undefined);
  const [failed] = replica.log.lines.filter(({ level }) => level === "warn");
  assert.deepEqual(failed?.fields, { error: "there is no webhook configuration" });
});

test("after a long time with nothing running, a new authority replaces the expired one at once", async () => {
  const cluster = new TestCluster();
  await cluster.replica().step();
  await cluster.clock.advance(2 * lives.authority);
  const replica = cluster.replica();
  await replica.step();
  assert.equal(authoritiesOf(cluster).length, 1);
  assert.equal(new Client().objection(replica.served?.certificate ?? "", cluster.bundle.value ?? "", cluster.now), "");
});
