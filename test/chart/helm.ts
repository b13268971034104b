/** Helm on the project's chart: what `helm template` and `helm lint` say, for values in a file. */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { provide } from "@loretoken/test-cluster";
import { parseAllDocuments } from "yaml";

const run = promisify(execFile);
export const root = path.resolve(import.meta.dirname, "../..");
export const chart = path.join(root, "charts/loretoken");

/** Where every case is installed. */
export const release = "loretoken";
export const namespace = "loretoken-system";

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: what Kubernetes defines per kind
  readonly [field: string]: any;
}

/** Its standard output. @throws {Error} whose `stderr` has Helm's words */
export async function helm(words: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const { helm: program } = await provide(["helm"], console.error);
  const { stdout } = await run(program, [...words], { env, maxBuffer: 64 << 20 });
  return stdout;
}

/** @param more words for Helm, such as --set=… */
export function render(values: string, more: readonly string[] = []): Promise<string> {
  return helm(["template", release, chart, `--namespace=${namespace}`, `--values=${values}`, ...more]);
}

export function objectsOf(text: string): KubernetesObject[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as KubernetesObject | null)
    .filter((object) => object !== null);
}

/** Files of a folder (beside this one, or by its absolute path), by their names without ending. */
export function filesIn(folder: string): Map<string, string> {
  const at = path.resolve(import.meta.dirname, folder);
  return new Map(
    readdirSync(at)
      .sort()
      .map((file) => [path.basename(file, ".yaml"), path.join(at, file)]),
  );
}

export function readText(file: string): string {
  return readFileSync(file, "utf8");
}
