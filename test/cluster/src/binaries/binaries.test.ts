import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { cacheOf, MissingGoError } from "./build.ts";
import { fits, programs } from "./catalog.ts";
import { findOnMachine } from "./find.ts";
import { provide } from "./index.ts";
import { Progress } from "./progress.ts";

const folder = mkdtempSync(path.join(tmpdir(), "loretoken-find-"));
after(() => rmSync(folder, { recursive: true }));

test("versions that programs print are told from those that do not fit", () => {
  assert.ok(fits(programs["kube-apiserver"], "Kubernetes v1.36.0"));
  assert.ok(!fits(programs["kube-apiserver"], "Kubernetes v1.35.9"));
  assert.ok(!fits(programs["kube-apiserver"], "Kubernetes v1.37.0"));
  assert.ok(fits(programs.etcd, "etcd Version: 3.6.8\nGit SHA: Not provided\nGo Version: go1.26.8"));
  assert.ok(!fits(programs.etcd, "etcd Version: 3.4.23"));
  assert.ok(fits(programs.runc, "runc version 1.1.5+ds1\nspec: 1.0.2-dev"));
  assert.ok(!fits(programs.helm, "v3.19.0+g3d8990f"));
  assert.ok(!fits(programs.helm, "command not found"));
});

test("KUBEBUILDER_ASSETS goes before PATH, and a program of a wrong version is passed over", async () => {
  const assets = fake("assets", { etcd: "3.6.1", kubelet: "1.35.0" });
  const other = fake("path", { etcd: "3.6.2", kubelet: "1.36.1" });
  const environment = { KUBEBUILDER_ASSETS: assets, PATH: `${other}:/usr/bin:/bin` };
  assert.equal(await findOnMachine("etcd", environment), path.join(assets, "etcd"));
  assert.equal(await findOnMachine("kubelet", environment), path.join(other, "kubelet"));
  assert.equal(await findOnMachine("kube-proxy", environment), undefined);
});

test("a program that hangs or dies when asked for its version does not fit", async () => {
  const broken = fake("broken", { kubelet: "1.36.0" });
  writeFileSync(path.join(broken, "kubelet"), "#!/bin/sh\necho Kubernetes v1.36.0 >&2; exit 1\n");
  assert.equal(await findOnMachine("kubelet", { PATH: broken }), undefined);
});

test("without Go and without a program that fits, the error says what to do", async () => {
  const environment = { PATH: path.join(folder, "nothing"), LORETOKEN_CACHE: path.join(folder, "cache") };
  await assert.rejects(
    provide(["kube-apiserver"], () => {}, environment),
    (error: Error) => {
      assert.ok(error instanceof MissingGoError);
      assert.match(error.message, /Go 1\.26 or later.*scripts\/bootstrap\.sh cluster/);
      return true;
    },
  );
});

test("an old Go is refused with its version", async () => {
  const old = fake("old", { go: "" });
  writeFileSync(path.join(old, "go"), "#!/bin/sh\necho go1.25.3\n");
  const environment = { PATH: old, LORETOKEN_CACHE: path.join(folder, "cache") };
  await assert.rejects(
    provide(["kube-apiserver"], () => {}, environment),
    /1\.26 or later, found go1\.25\.3/,
  );
});

test("the cache is LORETOKEN_CACHE, or below the home folder", () => {
  assert.equal(cacheOf({ LORETOKEN_CACHE: "/c" }).root, "/c/cluster");
  assert.equal(cacheOf({ HOME: "/home/u" }).root, "/home/u/.cache/loretoken/cluster");
  assert.match(cacheOf({ HOME: "/home/u" }).bin, /^\/home\/u\/\.cache\/loretoken\/cluster\/[0-9a-f]{16}$/);
});

test("progress is told every ten seconds, and counts packages only", () => {
  let now = 0;
  const told: string[] = [];
  const progress = new Progress(
    "node",
    200,
    (message) => told.push(message),
    () => now,
  );
  progress.line("k8s.io/api/core/v1");
  progress.line("go: downloading k8s.io/api v0.36.3");
  assert.deepEqual(told, []);
  now = 10_000;
  progress.line("golang.org/x/net/http2");
  assert.deepEqual(told, ["node: 2 packages compiled of at most 200, 10 s"]);
});

/** Programs that print a version. @returns their folder */
function fake(name: string, versions: Record<string, string>): string {
  const place = path.join(folder, name);
  mkdirSync(place, { recursive: true });
  for (const [program, version] of Object.entries(versions)) {
    const file = path.join(place, program);
    writeFileSync(file, `#!/bin/sh\necho ${program} version ${version}\n`);
    chmodSync(file, 0o755);
  }
  return place;
}
