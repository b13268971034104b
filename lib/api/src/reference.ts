/** docs/reference/<plural>.md: every field of a kind with type, default, bounds and meaning, from the schema that the API server has. */
import { customResourceDefinition, type Definition } from "./crds.ts";
import { apiVersion } from "./names.ts";
import { policyConditions } from "./policy/conditions.ts";
import type { JsonSchema } from "./structural.ts";

interface Field {
  readonly path: string;
  readonly schema: JsonSchema;
  readonly required: boolean;
}

interface Validation {
  readonly message: string;
}

export function kindReference(definition: Definition): string {
  const { kind, plural, shortNames, scope, description, columns } = definition;
  const properties = schemaOf(definition).properties as Record<string, JsonSchema>;
  const parts = (["spec", "status"] as const).flatMap((part) => {
    const schema = properties[part];
    return schema === undefined ? [] : section(part, schema);
  });
  return [
    `# ${kind}`,
    "",
    "Generated from `lib/api/src`.",
    "",
    description,
    "",
    `\`${apiVersion}\`, ${scope === "Cluster" ? "cluster-scoped" : "namespaced"}: \`kubectl get ${plural}\`, or \`${shortNames.join("`, `")}\`; \`kubectl explain ${kind.toLowerCase()}\` says the same as this page.`,
    "",
    ...parts,
    ...(kind === "CompressionPolicy" ? conditionTables() : []),
    "## Columns",
    "",
    "| column | shows | |",
    "|---|---|---|",
    ...columns.map(
      ({ name, description: shows, priority = 0 }) =>
        `| ${name.toUpperCase()} | ${shows} | ${priority > 0 ? "with `-o wide`" : ""} |`,
    ),
    "",
  ].join("\n");
}

function schemaOf(definition: Definition): JsonSchema {
  const { spec } = customResourceDefinition(definition) as {
    spec: { versions: { schema: { openAPIV3Schema: JsonSchema } }[] };
  };
  return spec.versions[0]?.schema.openAPIV3Schema ?? {};
}

function section(part: string, schema: JsonSchema): string[] {
  const fields = fieldsOf(schema, part);
  const rules = [
    ...rulesOf(schema, part),
    ...fields.flatMap(({ path, schema: field }) => [
      ...rulesOf(field, path),
      ...rulesOf((field.items ?? {}) as JsonSchema, `${path}[]`),
    ]),
  ];
  return [
    `## ${part}`,
    "",
    String(schema.description),
    "",
    "| field | type | default | allowed | meaning |",
    "|---|---|---|---|---|",
    ...fields.map(row),
    "",
    ...(rules.length === 0 ? [] : ["Rules beyond single values:", "", ...rules, ""]),
  ];
}

function rulesOf(schema: JsonSchema, path: string): string[] {
  const rules = (schema["x-kubernetes-validations"] ?? []) as Validation[];
  return rules.map(({ message }) => `- \`${path}\`: ${message}.`);
}

/** Depth first, as they are declared. `[]` marks the items of a list, `.*` the values of a map. */
function fieldsOf(schema: JsonSchema, at: string): Field[] {
  const required = new Set(schema.required as string[] | undefined);
  return Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>).flatMap(([name, property]) => {
    const path = `${at}.${name}`;
    const items = property.items as JsonSchema | undefined;
    const below = items?.type === "object" ? fieldsOf(items, `${path}[]`) : fieldsOf(property, path);
    return [{ path, schema: property, required: required.has(name) }, ...below];
  });
}

function row({ path, schema, required }: Field): string {
  const cells = [`\`${path}\``, typeOf(schema), defaultOf(schema, required), allowedBy(schema), schema.description];
  return `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`;
}

function typeOf({ type, format, items, additionalProperties }: JsonSchema): string {
  if (type === "array") return `list of ${typeOf(items as JsonSchema)}`;
  if (additionalProperties !== undefined) return `map of ${typeOf(additionalProperties as JsonSchema)}`;
  return format === "date-time" ? "time" : String(type);
}

function defaultOf({ default: fallback, type }: JsonSchema, required: boolean): string {
  if (required) return "required";
  // What an object's default is stands at its fields.
  if (fallback === undefined || type === "object") return "";
  return `\`${String(fallback)}\``;
}

function allowedBy(schema: JsonSchema): string {
  const items = schema.items as JsonSchema | undefined;
  const values = (schema.enum ?? items?.enum) as string[] | undefined;
  if (values !== undefined) return values.map((value) => `\`${value}\``).join(", ");
  const { minimum, maximum, maxItems, maxProperties } = schema;
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`;
  if (minimum !== undefined) return `at least ${minimum}`;
  const most = maxItems ?? maxProperties;
  return most === undefined ? "" : `at most ${most}`; // what a pattern allows is said in words
}

function conditionTables(): string[] {
  return [
    "## Conditions",
    "",
    ...Object.entries(policyConditions).flatMap(([type, { meaning, reasons }]) => [
      `### ${type}`,
      "",
      meaning,
      "",
      "| status | reason | when |",
      "|---|---|---|",
      ...Object.entries(reasons).map(([reason, { status, when }]) => `| ${status} | \`${reason}\` | ${when} |`),
      "",
    ]),
  ];
}
