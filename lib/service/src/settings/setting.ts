/**
 * A program's settings: its zod schema is the one source of types, defaults, the file's form, the flags, `--help` and the
 * reference page. A key `maxPowerPercent` of the file is the flag `--max-power-percent`.
 */
import { z } from "zod";

/** Its fields are texts, numbers, and lists of texts or numbers, each with a description. */
export type SettingsSchema = z.ZodObject;

/** A setting as people meet it. */
export interface Setting {
  readonly key: string;
  readonly flag: string;
  readonly kind: "text" | "number" | "list of texts" | "list of numbers";
  /** What is allowed, in words. */
  readonly allowed: string;
  /** As it is written on the command line; "" for none. */
  readonly fallback: string;
  readonly meaning: string;
}

interface Property {
  type?: string;
  enum?: string[];
  minimum?: number;
  maximum?: number;
  pattern?: string;
  allowed?: string;
  items?: Property;
  default?: unknown;
  description?: string;
}

/** Every setting, in the schema's order. */
export function settingsOf(schema: SettingsSchema): Setting[] {
  const json = z.toJSONSchema(schema, { io: "input" }) as { properties: Record<string, Property> };
  return Object.entries(json.properties).map(([key, property]) => ({
    key,
    flag: `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    kind: kindOf(property),
    allowed: allowedBy(schema, key, property),
    fallback: property.default === undefined ? "" : String(property.default),
    meaning: property.description ?? "",
  }));
}

function kindOf({ type, items }: Property): Setting["kind"] {
  if (type === "array") return items?.type === "string" ? "list of texts" : "list of numbers";
  return type === "number" || type === "integer" ? "number" : "text";
}

function allowedBy(schema: SettingsSchema, key: string, property: Property): string {
  const { type, minimum, maximum, items } = property;
  if (property.allowed !== undefined) return property.allowed;
  if (property.enum !== undefined) return property.enum.join(", ");
  if (items !== undefined) return `a list, each ${allowedBy(schema, key, items)}`;
  if (type === "integer") return `a whole number from ${minimum} to ${maximum}`;
  if (type === "number") return `a number from ${minimum} to ${maximum}`;
  return property.pattern === undefined ? "a text" : patternHint(schema, key);
}

/** A pattern's own words, as the schema's message has them. */
function patternHint(schema: SettingsSchema, key: string): string {
  for (const wrong of [" ", [" "]]) {
    const issue = schema.safeParse({ [key]: wrong }).error?.issues.find(({ path }) => path[0] === key);
    if (issue?.code === "invalid_format") return issue.message;
  }
  return "a text";
}
