/** Rules that a type alone does not say: once in CEL for the API server, once in JavaScript, side by side. */
import type { z } from "zod";

export interface Rule<T> {
  /** CEL on the value, `self`. */
  readonly cel: string;
  /** The same; a test holds both to one table of objects. @param value as the API server has it, defaults filled in */
  readonly holds: (value: T) => boolean;
  /** What is wanted, for whoever broke it. */
  readonly message: string;
}

/** The schema with its rules, for zod and as `x-kubernetes-validations`. Describe it afterwards. */
export function ruled<T extends z.ZodType>(schema: T, ...rules: Rule<z.output<T>>[]): T {
  const checked = rules.reduce<T>((so, { holds, message }) => so.refine((value) => holds(value), message), schema);
  return checked.meta({
    "x-kubernetes-validations": rules.map(({ cel, message }) => ({ rule: cel, message })),
  });
}
