/** docs/reference/values.md: every value in a table, a section for each object of the first level. */
import { leaves, type Schema, type Value } from "./walk.ts";

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

export function valuesReference(schema: Schema): string {
  const sections = new Map<string, Value[]>();
  for (const value of leaves(schema)) {
    const at = value.path.includes(".") ? (value.path.split(".")[0] ?? "") : "";
    sections.set(at, [...(sections.get(at) ?? []), value]);
  }
  const parts = [...sections].map(([name, found]) => {
    const about = schema.properties?.[name]?.description;
    return [...(name === "" ? [] : [`## \`${name}\``, "", `${about}`, ""]), ...table(found)].join("\n");
  });
  return `${[...head, ...parts].join("\n\n")}\n`;
}

const head = [
  "# Values of the chart",
  "Generated from `charts/scripts/values`; do not edit.",
  "Values that are not here, or not of the form here, are refused by `helm install`, `upgrade`, `template` and `lint`, which name them. " +
    "Settings of agent and operator have no default in the chart: what is not set is the program's own ([agent.md](agent.md)). " +
    "[operations.md](../operations.md) says what to set when.",
];

function table(found: readonly Value[]): string[] {
  return [
    "| value | allowed | default | meaning |",
    "|---|---|---|---|",
    ...found.map(({ path, schema }) => {
      const fallback = schema.default === undefined ? "" : `\`${JSON.stringify(schema.default)}\``;
      return `| \`${path}\` | ${cell(allowed(schema))} | ${cell(fallback)} | ${cell(schema.description ?? "")} |`;
    }),
  ];
}

function allowed(schema: Schema): string {
  const { type, pattern, items, anyOf, properties } = schema;
  if (schema.allowed !== undefined) return schema.allowed;
  if (schema.enum !== undefined) return schema.enum.map((one) => `\`${one}\``).join(", ");
  if (anyOf !== undefined) return anyOf.map(allowed).join(", or ");
  if (properties !== undefined) return `an object with ${Object.keys(properties).join(", ")}`;
  if (type === "string") return pattern === undefined ? "a text" : `a text like \`${pattern}\``;
  if (type === "array") return `a list${items === undefined ? "" : `, each ${allowed(items)}`}`;
  if (type === "integer" || type === "number") return range(schema);
  return type === "object" ? contents(schema) : "`true`, `false`";
}

function contents({ additionalProperties }: Schema): string {
  const typed = typeof additionalProperties === "object" && additionalProperties.type !== undefined;
  return typed ? "texts by name" : "an object";
}

function range({ type, minimum, maximum = Number.MAX_SAFE_INTEGER }: Schema): string {
  const kind = type === "integer" ? "a whole number" : "a number";
  if (minimum === undefined) return kind;
  return `${kind} from ${minimum}${maximum === Number.MAX_SAFE_INTEGER ? "" : ` to ${maximum}`}`;
}
