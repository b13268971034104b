// Writes docs/reference/hooks.md below the folder given, from the shim's hook table.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

interface Hook {
  symbol: string;
  variants: string[];
  kind: string;
  what: string;
}

const root = join(import.meta.dirname, "..");
const hooksFolder = join(root, "shim/src/hooks");

const kindTitles: Record<string, string> = {
  allocate: "Allocation",
  free: "Free",
  pool: "Stream-ordered pools",
  host: "Pinned and registered host memory",
  vmm: "Memory mapped by the program itself",
  export: "Export, import and registration with others",
  query: "Queries",
  peer: "Peer access",
  launch: "Launches",
  copy: "Copies",
  set: "Sets",
  graph: "Graphs",
  texture: "Textures and surfaces",
  memop: "Stream memory operations",
  context: "Contexts",
  stream: "Streams",
  wait: "Waiting for the GPU",
  capture: "Stream capture",
  loader: "Look-up of functions",
};

function lines(part: string): string[] {
  return readFileSync(join(hooksFolder, part), "utf8").split("\n");
}

/** The parts in the order in which table.def includes them. */
function parts(): string[] {
  return lines("table.def").flatMap((line) => /#include "hooks\/(table_\w+\.def)"/.exec(line)?.[1] ?? []);
}

/** `cuMemcpy2DAsync_v2_ptsz` → `cuMemcpy2DAsync` */
function baseOf(symbol: string): string {
  return symbol.replace(/_pt[sd][sz]$/, "").replace(/_v\d$/, "");
}

function readTable(): { hooks: Hook[]; passed: Map<string, string[]> } {
  const hooks: Hook[] = [];
  const passed = new Map<string, string[]>();
  for (const line of parts().flatMap(lines)) {
    const hook = /^(?:NVML_)?HOOK(?:_PT)?\((\w+)(?:, (\w+))?, (\w+), "(.*)"\)$/.exec(line);
    const pass = /^PASS(?:_PT)?\((\w+)(?:, (\w+))?, "(.*)"\)$/.exec(line);
    if (hook) {
      const [, symbol = "", variant, kind = "", what = ""] = hook;
      hooks.push({ symbol, variants: variant ? [variant] : [], kind, what });
    } else if (pass) {
      const [, symbol = "", variant, why = ""] = pass;
      passed.set(why, [...(passed.get(why) ?? []), symbol, ...(variant ? [variant] : [])]);
    } else if (/^(HOOK|PASS|NVML_HOOK)/.test(line)) {
      throw new Error(`a line of the hook table has another form: ${line}`);
    }
  }
  return { hooks, passed };
}

/** Versions of one function that are treated alike share a row. */
function merge(hooks: Hook[]): Hook[] {
  const rows = new Map<string, Hook>();
  for (const hook of hooks) {
    const key = `${baseOf(hook.symbol)} ${hook.what}`;
    const row = rows.get(key);
    if (row) row.variants.push(hook.symbol, ...hook.variants);
    else rows.set(key, { ...hook, variants: [...hook.variants] });
  }
  return [...rows.values()];
}

function render(): string {
  const { hooks, passed } = readTable();
  const kinds = [...new Set(hooks.map((hook) => hook.kind))];
  const code = (symbol: string) => `\`${symbol}\``;
  const text = [
    "# Hooked driver functions",
    "",
    "Generated from `shim/src/hooks/table.def` by `scripts/generate-hooks-doc.ts`; do not edit.",
    "",
    "Every function of the CUDA driver is in the table: hooked, or passed with the reason. Hooks pass invalid arguments and",
    "pointers that are not the shim's to the driver, whose error comes back.",
    "",
  ];
  for (const kind of kinds) {
    text.push(`## ${kindTitles[kind] ?? kind}`, "", "| function | variants | what is done |", "|---|---|---|");
    for (const row of merge(hooks.filter((hook) => hook.kind === kind))) {
      text.push(`| ${code(row.symbol)} | ${row.variants.map(code).join(", ")} | ${row.what} |`);
    }
    text.push("");
  }
  text.push("## Not hooked", "", "| why | functions |", "|---|---|");
  for (const [why, symbols] of passed) text.push(`| ${why} | ${symbols.map(code).join(", ")} |`);
  return `${text.join("\n")}\n`;
}

const target = process.argv[2];
if (!target) throw new Error("usage: node scripts/generate-hooks-doc.ts <folder>");
const output = join(target, "docs/reference/hooks.md");
mkdirSync(dirname(output), { recursive: true });
writeFileSync(output, render());
