/**
 * Writes src/gen/*.gen.ts from proto/ by buf and protoc-gen-es, offline.
 * Usage: node lib/kubelet/scripts/generate.ts <folder to write into, laid out as the repository>
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const home = join(import.meta.dirname, "..");
const tools = join(home, "../../node_modules/.bin");
const outputs: readonly [string, string][] = [
  ["v1beta1/api_pb.ts", "device-plugin-v1beta1.gen.ts"],
  ["v1/api_pb.ts", "pod-resources-v1.gen.ts"],
];

const target = process.argv[2];
if (target === undefined) throw new Error("usage: generate.ts <folder>");
const made = mkdtempSync(join(tmpdir(), "loretoken-proto-"));
try {
  const plugin = { local: join(tools, "protoc-gen-es"), out: made, opt: ["target=ts", "import_extension=ts"] };
  const template = JSON.stringify({ version: "v2", plugins: [plugin] });
  execFileSync(join(tools, "buf"), ["generate", join(home, "proto"), "--template", template], { stdio: "inherit" });
  const folder = join(target, "lib/kubelet/src/gen");
  mkdirSync(folder, { recursive: true });
  for (const [from, to] of outputs) writeFileSync(join(folder, to), readFileSync(join(made, from)));
} finally {
  rmSync(made, { recursive: true, force: true });
}
