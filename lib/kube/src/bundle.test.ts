import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { build } from "esbuild";
import { clientNodeIsPure } from "../scripts/esbuild-client-node.ts";

test("a bundle without the classes that are not used still finds its API server", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "bundle-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const contents = `
    import { Client, loadKubeConfig } from "./client.ts";
    const client = new Client({ config: loadKubeConfig(), userAgent: "test", timeout: 100 });
    client.request({ method: "GET", path: "/version" }).catch((error) => console.log(error.name, error.message));`;
  const size = async (plugins: (typeof clientNodeIsPure)[]): Promise<number> => {
    const outfile = join(folder, `bundle${plugins.length}.mjs`);
    const banner = {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    };
    const stdin = { contents, resolveDir: import.meta.dirname, loader: "ts" } as const;
    const settings = { bundle: true, platform: "node", format: "esm", minify: true, logLevel: "error" } as const;
    await build({ ...settings, stdin, outfile, banner, plugins });
    return statSync(outfile).size;
  };
  const [whole, pure] = [await size([]), await size([clientNodeIsPure])];
  assert.ok(pure < 0.8 * whole, `${pure} of ${whole} bytes are left`);

  const kubeconfig = join(folder, "kubeconfig");
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      clusters: [{ name: "c", cluster: { server: "https://127.0.0.1:1" } }],
      contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
      users: [{ name: "u", user: { token: "t" } }],
      "current-context": "c",
    }),
  );
  const env = { ...process.env, KUBECONFIG: kubeconfig };
  const said = execFileSync(process.execPath, [join(folder, "bundle1.mjs")], { env, encoding: "utf8" });
  assert.match(said, /^UnreachableError GET \/version: connect ECONNREFUSED 127\.0\.0\.1:1/);
});
