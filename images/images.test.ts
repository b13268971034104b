/** What images have, and that Containerfiles say the same. Real containers of them run in test/e2e/chart-install.test.ts. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { contentsOf, imageNames, root } from "./contents.ts";
import { npmPackages } from "./sbom/npm.ts";

/** Instructions of a Containerfile's last stage. */
function lastStage(name: string): string {
  return (
    readFileSync(path.join(root, "images", name, "Containerfile"), "utf8")
      .split(/^FROM /m)
      .at(-1) ?? ""
  );
}

for (const name of imageNames) {
  const skip = existsSync(path.join(root, name === "agent" ? "device-plugin" : "operator", "package.json"))
    ? false
    : "the program is not there";

  test(`${name}: its Containerfile starts it as its package does, as the same user`, { skip }, async () => {
    const { config } = await contentsOf(name, { withoutKernels: true });
    const stage = lastStage(name);
    assert.deepEqual(JSON.parse(/^ENTRYPOINT (.*)$/m.exec(stage)?.[1] ?? ""), config.entrypoint);
    assert.equal(/^USER (.*)$/m.exec(stage)?.[1], config.user);
    assert.equal(/^WORKDIR (.*)$/m.exec(stage)?.[1], config.workdir);
    const variables = [...stage.matchAll(/^ENV (.*)$/gm)].flatMap(([, line = ""]) => line.split(" "));
    for (const [key, value] of Object.entries(config.env ?? {})) assert.ok(variables.includes(`${key}=${value}`), key);
  });

  test(`${name}: no shell, its program, its licence and what it is made of`, { skip }, async () => {
    const { layers } = await contentsOf(name, { withoutKernels: true });
    const entries = layers.flat();
    const paths = entries.map(({ to }) => to);
    assert.deepEqual(
      paths.filter((file) => /\/(sh|bash|busybox|npm|apt|dpkg)$/.test(file)),
      [],
    );
    for (const file of [`/app/dist/loretoken-${name}.js`, "/usr/local/bin/node", "/usr/share/doc/loretoken/LICENSE"]) {
      assert.ok(paths.includes(file), file);
    }
    const bill = entries.find(({ to }) => to === "/usr/share/loretoken/sbom.cdx.json");
    const { bomFormat, components } = JSON.parse(bill?.kind === "text" ? bill.text : "");
    assert.equal(bomFormat, "CycloneDX");
    const names: string[] = components.map((one: { name: string }) => one.name);
    for (const part of ["zod", "node", "@kubernetes/client-node"]) assert.ok(names.includes(part), part);
    assert.equal(names.includes("libloretoken.so"), name === "agent");
    assert.ok(!names.includes("typescript"), "nothing that only builds");
    for (const one of components) assert.ok(one.purl !== undefined || one.hashes !== undefined, JSON.stringify(one));
    const references = components.map((one: { "bom-ref"?: string; name: string }) => one["bom-ref"] ?? one.name);
    assert.equal(new Set(references).size, references.length);
  });
}

test("packages of npm are those of the program's platform, each once, as the lock file has them", () => {
  const found = npmPackages(root, "device-plugin", "linux-x64").map(({ name }) => name);
  assert.ok(found.includes("@koromix/koffi-linux-x64"));
  assert.deepEqual(
    found.filter((name) => /koffi-(darwin|win32|linux-arm64)/.test(name)),
    [],
  );
  assert.throws(() => npmPackages(root, "nowhere", "linux-x64"), /has no nowhere/);
});
