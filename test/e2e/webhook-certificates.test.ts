/** Certificates of the webhook through rotations on a real API server, under load, by two replicas. Needs no rights. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { pathOf, type Resource } from "@loretoken/kube";
import { Cluster, needsOwnCluster, until } from "@loretoken/test-cluster";
import { freePorts } from "../cluster/src/cluster/ports.ts";
import { AdmissionSetup, account, rights, unitsOf } from "./support/admission.ts";

const secrets: Resource = { apiVersion: "v1", kind: "Secret", plural: "secrets", namespaced: true };
/** An authority is followed after 20 s, a leaf after 6 s. */
const short = ["--authority-life-seconds=30", "--leaf-life-seconds=9", "--settle-seconds=3"];
const watched = 55_000;

test("rotation under load", { skip: needsOwnCluster, timeout: 240_000 }, async (context) => {
  const cluster = await Cluster.start({ kind: "control", name: "webhook-certificates", audit: true });
  const setup = await AdmissionSetup.on(cluster);
  context.after(() => setup.close());
  const [otherPort = 0] = await freePorts(1);
  const replicas = await Promise.all([setup.operator(short), setup.operator(short, otherPort)]);
  const ports = replicas.map(({ ports: at }) => at?.webhook ?? 0);
  await setup.configure();

  await context.test("two replicas that began at once have one authority", async () => {
    const bundle = await setup.caBundle();
    assert.equal(certificatesIn(bundle), 1);
    const path = pathOf(secrets, { namespace: setup.operatorNamespace, name: "loretoken-webhook-ca" });
    const { data } = await setup.client.request<{ data: Record<string, string> }>({ method: "GET", path });
    assert.deepEqual(Object.keys(data), ["ca.crt", "ca.key"]);
    assert.equal(data["ca.crt"], bundle);
    for (const port of ports) assert.ok(await fingerprint(port, bundle));
  });

  await context.test("no pod is refused and no client of either replica turns away", async () => {
    const end = Date.now() + watched;
    const seen = { pods: 0, leaves: ports.map(() => new Set<string>()), bundles: new Set<string>(), widest: 0 };
    const load = async (): Promise<void> => {
      while (Date.now() < end) {
        const pod = await setup.create({ annotations: { "loretoken.dev/vram": "8Gi" } }, { dryRun: true });
        assert.deepEqual(unitsOf(pod), { main: "8" });
        seen.pods += 1;
        await sleep(50);
      }
    };
    const handshakes = async (): Promise<void> => {
      while (Date.now() < end) {
        const bundle = await setup.caBundle();
        seen.bundles.add(bundle);
        seen.widest = Math.max(seen.widest, certificatesIn(bundle));
        for (const [at, port] of ports.entries()) seen.leaves[at]?.add(await fingerprint(port, bundle));
        await sleep(100);
      }
    };
    await Promise.all([load(), load(), load(), handshakes()]);
    assert.ok(seen.pods > 300, `${seen.pods} pods`);
    assert.ok(
      seen.leaves.every(({ size }) => size >= 6),
      seen.leaves.map(({ size }) => size).join(),
    );
    assert.ok(
      seen.bundles.size >= 4 && seen.widest === 2,
      `${seen.bundles.size} bundles, at most ${seen.widest} at once`,
    );
    for (const { lines } of replicas) {
      assert.deepEqual(
        lines.filter(({ level }) => Number(level) >= 50),
        [],
        "no errors logged",
      );
    }
  });

  await context.test("a Secret that was deleted is put back, and nobody notices", async () => {
    const at = { namespace: setup.operatorNamespace, name: "loretoken-webhook-ca" };
    await setup.client.request({ method: "DELETE", path: pathOf(secrets, at) });
    await until("the Secret is back", () => setup.client.request({ method: "GET", path: pathOf(secrets, at) }));
    for (let each = 0; each < 20; ++each) {
      for (const port of ports) assert.ok(await fingerprint(port, await setup.caBundle()));
      await setup.create({ annotations: { "loretoken.dev/vram": "8Gi" } }, { dryRun: true });
      await sleep(100);
    }
  });

  await context.test("SIGTERM ends it with 0; pods wait for nothing of it", async () => {
    assert.deepEqual(await Promise.all(replicas.map((replica) => replica.end())), [0, 0]);
    assert.deepEqual(unitsOf(await setup.create({})), {});
  });

  await context.test("what it may do at the API server it did, and nothing else", () => {
    const granted = [...rights.namespaced, ...rights.cluster].flatMap(
      ({ apiGroups: [group], resources: [name], verbs }) => verbs.map((verb) => `${verb} ${group}/${name}`),
    );
    const events = readFileSync(cluster.control.auditLog, "utf8").trim().split("\n");
    const used = events
      .map((line) => JSON.parse(line))
      .filter(({ user, stage }) => user.username.endsWith(`:${account}`) && stage === "ResponseComplete")
      .map(({ verb, objectRef: { apiGroup = "", resource } }) => `${verb} ${apiGroup}/${resource}`);
    assert.deepEqual(new Set(used), new Set(granted));
  });
});

function certificatesIn(bundle: string): number {
  return Buffer.from(bundle, "base64").toString().split("-----BEGIN CERTIFICATE-----").length - 1;
}

/** Of the leaf that a client gets that trusts this bundle. @throws {Error} if it does not accept it */
async function fingerprint(port: number, bundle: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, ca: Buffer.from(bundle, "base64").toString() });
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}
