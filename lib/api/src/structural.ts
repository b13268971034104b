/** zod schemas as the structural schemas that a CustomResourceDefinition takes. */
import { z } from "zod";

export type JsonSchema = { [key: string]: unknown };

/** @throws {Error} naming the place, if the schema says something that a CRD cannot. */
export function structuralSchema(schema: z.ZodType): JsonSchema {
  const generated = z.toJSONSchema(schema, { target: "openapi-3.0", io: "input" }) as JsonSchema;
  const structural = tidy(generated);
  const wrong = structuralProblems(structural);
  if (wrong.length > 0) throw new Error(`not structural: ${wrong.join("; ")}`);
  return structural;
}

/** What an integer's format says anyway. */
const formatBounds = new Set<unknown>([-(2 ** 31), 2 ** 31 - 1, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]);

/** Takes away what the generator says for others: integers' safe range, the pattern behind a format. */
function tidy(schema: JsonSchema): JsonSchema {
  const { $schema: _, pattern, minimum, maximum, ...rest } = schema;
  const tidied: JsonSchema = { ...rest };
  if (pattern !== undefined && rest.format === undefined) tidied.pattern = pattern;
  if (minimum !== undefined && !formatBounds.has(minimum)) tidied.minimum = minimum;
  if (maximum !== undefined && !formatBounds.has(maximum)) tidied.maximum = maximum;
  if (rest.type === "integer") tidied.format = maximum === 2 ** 31 - 1 ? "int32" : "int64";
  for (const key of ["items", "additionalProperties"]) {
    if (isSchema(rest[key])) tidied[key] = tidy(rest[key]);
  }
  if (isSchema(rest.properties)) {
    tidied.properties = Object.fromEntries(
      Object.entries(rest.properties).map(([name, property]) => [name, tidy(property as JsonSchema)]),
    );
  }
  return tidied;
}

/** What the API server takes in a structural schema, of what is in use here. */
const allowed = new Set([
  "type",
  "format",
  "description",
  "default",
  "enum",
  "pattern",
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "minProperties",
  "maxProperties",
  "nullable",
  "required",
  "properties",
  "additionalProperties",
  "items",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-map-type",
  "x-kubernetes-validations",
  "x-kubernetes-int-or-string",
  "x-kubernetes-preserve-unknown-fields",
]);

/** @returns one sentence per place that the API server, or a reader of `kubectl explain`, would stumble over */
export function structuralProblems(schema: JsonSchema, at = "schema"): string[] {
  const problems = Object.keys(schema)
    .filter((key) => !allowed.has(key))
    .map((key) => `${at} has ${key}`);
  const add = (wrong: boolean, what: string): void => {
    if (wrong) problems.push(`${at} ${what}`);
  };
  const { type, properties, items, additionalProperties, required } = schema;
  add(typeof type !== "string" && schema["x-kubernetes-int-or-string"] !== true, "has no type");
  add(typeof schema.description !== "string" || schema.description === "", "has no description");
  add(type === "array" && !isSchema(items), "is an array without items");
  add(type === "array" && schema["x-kubernetes-list-type"] === undefined, "is an array without list type");
  add(typeof additionalProperties === "boolean", "has additionalProperties that is no schema");
  add(additionalProperties !== undefined && properties !== undefined, "has both properties and additionalProperties");
  const known = isSchema(properties) ? properties : {};
  for (const name of (required as string[] | undefined) ?? [])
    add(!(name in known), `requires ${name}, which it lacks`);
  add(!keysAreThere(schema), "is a map list whose keys are not required fields of its items");
  for (const [name, property] of Object.entries(known)) {
    problems.push(...structuralProblems(property as JsonSchema, `${at}.${name}`));
  }
  if (isSchema(additionalProperties)) {
    problems.push(...structuralProblems(describedAbove(additionalProperties), `${at}.*`));
  }
  if (isSchema(items)) problems.push(...structuralProblems(describedAbove(items), `${at}[]`));
  return problems;
}

/** Plain values of a list or map are described by it. */
function describedAbove(schema: JsonSchema): JsonSchema {
  return schema.type === "object" ? schema : { description: "-", ...schema };
}

function keysAreThere(schema: JsonSchema): boolean {
  if (schema["x-kubernetes-list-type"] !== "map") return true;
  const keys = schema["x-kubernetes-list-map-keys"];
  const required = isSchema(schema.items) ? schema.items.required : undefined;
  return (
    Array.isArray(keys) && keys.length > 0 && Array.isArray(required) && keys.every((key) => required.includes(key))
  );
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
