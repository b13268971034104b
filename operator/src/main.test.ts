/** The program itself, bundled, as its image has it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectPlain } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, type TestContext } from "node:test";
import { connect } from "node:tls";
import { configFor, until } from "@loretoken/kube/testing";
import { Authority, type Leaf } from "./certificates/authority.ts";
import { Bundle, type OperatorProgram } from "./testing/program.ts";

const bundle = new Bundle();
after(() => bundle.remove());

const times = { now: Date.now(), life: 3_600_000 };
const authority = await Authority.create(times);
const kubeconfig = join(bundle.folder, "kubeconfig");
writeFileSync(kubeconfig, configFor(1).exportConfig());
const env = { KUBECONFIG: kubeconfig };
const anywhere = ["--listen=127.0.0.1:0", "--pages=127.0.0.1:0", "--drain-seconds=0.2"];

function place(folder: string, { certificate, key }: Leaf): void {
  writeFileSync(join(folder, "tls.key"), key);
  writeFileSync(join(folder, "tls.crt"), certificate);
}

function mounted(t: TestContext): { folder: string; operator: OperatorProgram } {
  const folder = mkdtempSync(join(tmpdir(), "loretoken-certificates-"));
  const flags = [...anywhere, "--certificates=mounted", `--certificate-folder=${folder}`, "--check-seconds=0.2"];
  const operator = bundle.start(flags, env);
  t.after(async () => {
    await operator.end("SIGKILL");
    rmSync(folder, { recursive: true });
  });
  return { folder, operator };
}

test("it serves once a certificate is mounted, takes another without a restart, and ends on SIGTERM", async (t) => {
  const { folder, operator } = mounted(t);
  await until("it misses the certificate", () => operator.logged("mounted certificate not usable") > 0);
  place(folder, await authority.issue(["127.0.0.1"], times));
  await until("it serves", () => operator.ports !== undefined);
  const { webhook = 0, pages = 0 } = operator.ports ?? {};
  const page = async (path: string): Promise<string> => (await fetch(`http://127.0.0.1:${pages}${path}`)).text();
  assert.deepEqual([await page("/healthz"), await page("/readyz")], ["ok\n", "ok\n"]);
  place(folder, await authority.issue(["127.0.0.1"], times));
  await until("the next is served", () => operator.logged("certificate served") === 2);
  assert.match(await page("/metrics"), /^loretoken_certificates_served_total 2$/m);
  const socket = connect({ port: webhook, host: "127.0.0.1", ca: authority.certificate });
  await new Promise<void>((resolve, reject) => socket.on("secureConnect", resolve).on("error", reject));
  socket.destroy();
  const ended = operator.end();
  await until("it ends", () => operator.logged("ending") === 1);
  const readyz = await fetch(`http://127.0.0.1:${pages}/readyz`);
  assert.deepEqual([readyz.status, await readyz.text()], [503, "ending\n"]);
  assert.equal(await ended, 0);
  assert.equal(operator.lines.at(-1)?.msg, "ended");
});

test("SIGTERM before there is a certificate ends it as well", async (t) => {
  const { operator } = mounted(t);
  await until("it misses the certificate", () => operator.logged("mounted certificate not usable") > 0);
  assert.equal(await operator.end(), 0);
});

test("an address that is taken ends it with the reason", async (t) => {
  const { folder, operator } = mounted(t);
  place(folder, await authority.issue(["127.0.0.1"], times));
  await until("it serves", () => operator.ports !== undefined);
  const flags = ["--certificates=mounted", `--certificate-folder=${folder}`, "--pages=127.0.0.1:0"];
  const second = bundle.start([...flags, `--listen=127.0.0.1:${operator.ports?.webhook}`], env);
  await until("it ends", () => second.logged("start failed") === 1);
  assert.match(String(second.lines.at(-1)?.error), /^cannot serve at 127.0.0.1:\d+: .*EADDRINUSE/);
  assert.equal(await second.ended(), 1);
  const probe = connectPlain(operator.ports?.webhook ?? 0, "127.0.0.1");
  await new Promise((resolve) => probe.on("connect", resolve));
  probe.destroy();
});

test("a kubeconfig that cannot be used ends it with the reason", async (t) => {
  const operator = bundle.start(anywhere, { KUBECONFIG: "/dev/null" });
  t.after(() => operator.end("SIGKILL"));
  await until("it ends", () => operator.logged("start failed") === 1);
  assert.equal(await operator.ended(), 1);
});

test("wrong settings end it with 2 and what is allowed; help and version are told", () => {
  const run = (...words: string[]) => spawnSync(process.execPath, [bundle.main, ...words], { encoding: "utf8" });
  const wrong = run("--replace-gpu=sometimes");
  assert.deepEqual(
    [wrong.status, wrong.stderr],
    [2, 'loretoken-operator: --replace-gpu: "sometimes" is not allowed; allowed: annotation, always\n'],
  );
  assert.match(run("--help").stdout, /^Usage: loretoken-operator/);
  assert.match(run("--version").stdout, /^loretoken-operator \d/);
});
