import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { DiskError, diskFiles, type Files } from "../store/files.ts";
import { ShimDelivery } from "./delivery.ts";

function setUp(t: TestContext, files: Files = diskFiles) {
  const root = mkdtempSync(join(tmpdir(), "loretoken-shim-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const [hostFolder, source] = [join(root, "host"), join(root, "image")];
  mkdirSync(source);
  writeFileSync(join(source, "libloretoken.so"), "the shim");
  writeFileSync(join(source, "loretoken_kernels.fatbin"), "kernels");
  const delivery = new ShimDelivery({ hostFolder, source, version: "0.1.0", files });
  return { hostFolder, source, delivery, versions: () => readdirSync(join(hostFolder, "shim")).sort() };
}

test("the shim is copied under a name of its contents, with the file that ld.so reads", async (t) => {
  const { delivery, versions } = setUp(t);
  const shim = await delivery.deliver();
  assert.match(shim.version, /^0\.1\.0-[0-9a-f]{12}$/);
  assert.deepEqual(versions(), [shim.version]);
  assert.equal(readFileSync(join(shim.folder, "libloretoken.so"), "utf8"), "the shim");
  assert.equal(readFileSync(join(shim.folder, "loretoken_kernels.fatbin"), "utf8"), "kernels");
  assert.equal(readFileSync(shim.preload, "utf8"), `/opt/loretoken/${shim.version}/libloretoken.so\n`);
  assert.equal(statSync(join(shim.folder, "libloretoken.so")).mode & 0o777, 0o755);
  assert.equal(statSync(shim.preload).mode & 0o777, 0o644);
});

test("what is there is used as it is, not written again", async (t) => {
  const { delivery } = setUp(t);
  const first = await delivery.deliver();
  const before = statSync(join(first.folder, "libloretoken.so"), { bigint: true });
  assert.deepEqual(await delivery.deliver(), first);
  const after = statSync(join(first.folder, "libloretoken.so"), { bigint: true });
  assert.deepEqual([after.ino, after.ctimeNs], [before.ino, before.ctimeNs]);
});

test("another build is another folder; the old one stays until nobody uses it", async (t) => {
  const { delivery, source, versions } = setUp(t);
  const old = await delivery.deliver();
  writeFileSync(join(source, "libloretoken.so"), "the shim, mended");
  const next = await delivery.deliver();
  assert.notEqual(next.version, old.version);
  assert.deepEqual(await delivery.removeUnused(new Set([old.version, next.version])), []);
  assert.equal(readFileSync(join(old.folder, "libloretoken.so"), "utf8"), "the shim");
  assert.deepEqual(await delivery.removeUnused(new Set([next.version])), [old.version]);
  assert.deepEqual(versions(), [next.version]);
});

test("a folder whose contents are not what its name says is left alone, another is made", async (t) => {
  const { delivery, versions } = setUp(t);
  const first = await delivery.deliver();
  writeFileSync(join(first.folder, "libloretoken.so"), "bits that flipped");
  const second = await delivery.deliver();
  assert.equal(second.version, `${first.version}-2`);
  assert.equal(readFileSync(join(first.folder, "libloretoken.so"), "utf8"), "bits that flipped");
  assert.match(readFileSync(second.preload, "utf8"), new RegExp(`/${second.version}/`));
  assert.deepEqual(versions(), [first.version, second.version].sort());
});

test("what an agent left that died while copying is cleared away", async (t) => {
  const { delivery, hostFolder, versions } = setUp(t);
  for (const name of [".new-0.1.0-x", ".old-0.0.9-y"]) mkdirSync(join(hostFolder, "shim", name), { recursive: true });
  const { version } = await delivery.deliver();
  assert.deepEqual(versions(), [version]);
});

test("an image without the shim, and a full disk, are said", async (t) => {
  const { delivery, source } = setUp(t);
  rmSync(join(source, "libloretoken.so"));
  await assert.rejects(delivery.deliver(), /the image has no shim: .*libloretoken.so is missing; --shim-folder/);
  const full = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
  const { delivery: onFullDisk, versions } = setUp(t, { ...diskFiles, write: () => Promise.reject(full) });
  await assert.rejects(onFullDisk.deliver(), (error: unknown) => {
    return error instanceof DiskError && /delivering the shim in .*shim failed: .*the disk is full/.test(error.message);
  });
  assert.ok(
    versions().every((name) => name.startsWith(".new-")),
    "nothing has a name that is not whole",
  );
});
