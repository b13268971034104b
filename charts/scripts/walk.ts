/** The chart's values as a tree, from the JSON schema that zod makes. */
import { z } from "zod";
import { values } from "./values/index.ts";

export interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly default?: unknown;
  readonly description?: string;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  /** See values/index.ts. */
  readonly leaf?: boolean;
  readonly settings?: string;
  /** In words, where the schema cannot say it. */
  readonly allowed?: string;
}

export interface Value {
  /** As `agent.image.tag`. */
  readonly path: string;
  readonly schema: Schema;
}

export function jsonSchema(): Schema {
  return z.toJSONSchema(values, {
    io: "input",
    target: "draft-7",
    override: ({ jsonSchema: at }) => addPattern(at),
  }) as Schema;
}

/** Sizes are read by code of the agent's, which a JSON schema cannot have: here by their form. */
function addPattern(at: { allowed?: unknown; type?: unknown; pattern?: string | undefined }): void {
  if (typeof at.allowed !== "string" || !at.allowed.startsWith("a size")) return;
  const number = String.raw`[0-9]+(\.[0-9]*)?`;
  const bytes = `${number} *(([kKmMgGtT][iI]?)?[bB])?`;
  at.pattern = at.allowed.includes("share") ? `^(${bytes}|${number} *%)$` : `^${bytes}$`;
}

/** Whether it is one value, not an object of values. */
export function isLeaf({ properties, leaf }: Schema): boolean {
  return properties === undefined || leaf === true;
}

/** Every value, in the schema's order. @throws {Error} for one without description, or without default but a setting */
export function leaves(schema: Schema, path = "", setting = false): Value[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, child]) => {
    const at = path === "" ? key : `${path}.${key}`;
    if (child.description === undefined) throw new Error(`${at} has no description`);
    if (!isLeaf(child)) return leaves(child, at, child.settings !== undefined);
    if (child.default === undefined && !setting) throw new Error(`${at} has no default`);
    return [{ path: at, schema: child }];
  });
}
