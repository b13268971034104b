import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { TestClock } from "@loretoken/kube/testing";
import { recordingLog } from "@loretoken/service/testing";
import { Registry } from "prom-client";
import { Authority, type Leaf } from "./authority.ts";
import { CertificateMetrics } from "./certificate-metrics.ts";
import { MountedCertificates } from "./mounted-certificates.ts";

const now = Date.parse("2026-01-01T00:00:00Z");
const life = 3_600_000;

/** As the kubelet makes it: a folder per version, `..data` swapped by renaming a link. */
class Volume {
  readonly folder = mkdtempSync(join(tmpdir(), "loretoken-volume-"));
  #version = 0;

  swap(files: Readonly<Record<string, string>>): void {
    const name = `..version-${++this.#version}`;
    mkdirSync(join(this.folder, name));
    for (const [file, text] of Object.entries(files)) writeFileSync(join(this.folder, name, file), text);
    symlinkSync(name, join(this.folder, "..data_tmp"));
    renameSync(join(this.folder, "..data_tmp"), join(this.folder, "..data"));
    if (this.#version > 1) return;
    for (const file of Object.keys(files)) symlinkSync(`..data/${file}`, join(this.folder, file));
  }
}

function mounted(t: TestContext, volume: Volume) {
  t.after(() => rmSync(volume.folder, { recursive: true }));
  const [log, served] = [recordingLog(), [] as string[]];
  const source = new MountedCertificates({
    folder: volume.folder,
    every: 1000,
    clock: new TestClock(),
    use: ({ certificate }) => served.push(certificate),
    metrics: new CertificateMetrics(new Registry()),
    log,
  });
  return { source, log, served };
}

async function leaves(count: number): Promise<Leaf[]> {
  const authority = await Authority.create({ now, life });
  return Promise.all(Array.from({ length: count }, () => authority.issue(["a.svc"], { now, life })));
}

const files = ({ certificate, key }: Leaf) => ({ "tls.crt": certificate, "tls.key": key });

test("a swapped volume is served from the next look on, the same one is not taken up again", async (t) => {
  const volume = new Volume();
  const { source, served } = mounted(t, volume);
  const [one, two] = (await leaves(2)) as [Leaf, Leaf];
  volume.swap(files(one));
  for (let look = 0; look < 3; ++look) await source.step();
  assert.deepEqual(served, [one.certificate]);
  assert.equal(source.current?.notAfter, now + life);
  volume.swap(files(two));
  await source.step();
  assert.deepEqual(served, [one.certificate, two.certificate]);
});

test("what cannot be used leaves what is served, and is told once", async (t) => {
  const volume = new Volume();
  const { source, log, served } = mounted(t, volume);
  const [one, two] = (await leaves(2)) as [Leaf, Leaf];
  await source.step();
  volume.swap(files(one));
  await source.step();
  for (const wrong of [{ "tls.crt": two.certificate, "tls.key": one.key }, { "tls.crt": "", "tls.key": "" }, {}]) {
    volume.swap(wrong);
    await source.step();
    await source.step();
  }
  assert.deepEqual(served, [one.certificate]);
  assert.equal(source.current?.certificate, one.certificate);
  const told = log.lines.filter(({ level }) => level === "error").map(({ fields }) => String(fields.error));
  assert.equal(told.length, 4);
  assert.match(told[0] ?? "", /ENOENT/);
  assert.equal(told[1], "tls.key is not the key of tls.crt");
  volume.swap(files(two));
  await source.step();
  assert.equal(source.current?.certificate, two.certificate);
});

test("files in a folder that is no volume are read too", async (t) => {
  const volume = new Volume();
  const { source, served } = mounted(t, volume);
  const [one] = (await leaves(1)) as [Leaf];
  for (const [file, text] of Object.entries(files(one))) writeFileSync(join(volume.folder, file), text);
  await source.step();
  assert.deepEqual(served, [one.certificate]);
});
