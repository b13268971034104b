/**
 * Writes docs/reference/agent.md below the folder given, from the settings' schema.
 * Usage: node device-plugin/scripts/generate-reference.ts <folder to write into, laid out as the repository>
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { settingsTable } from "../src/config/help.ts";

const folder = process.argv[2];
if (folder === undefined) throw new Error("usage: generate-reference.ts <folder>");
const path = join(folder, "docs/reference/agent.md");
const text = readFileSync(join(import.meta.dirname, "agent.template.md"), "utf8");
mkdirSync(dirname(path), { recursive: true });
writeFileSync(path, text.replace("{{settings}}", settingsTable()));
