/** Kubernetes' LabelSelector: its schema, what it matches, and how kubectl would write it. */
import { z } from "zod";
import { ruled } from "./rules.ts";

const name = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?";
const key = new RegExp(`^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?${name}$`);
const value = z
  .string()
  .max(63)
  .regex(new RegExp(`^(${name})?$`));

const mostLabels = 32;

const matchLabels = ruled(z.record(z.string(), value), {
  cel: `self.all(key, size(key) <= 317 && key.matches('${key.source.replaceAll("\\/", "/")}'))`,
  holds: (labels) => Object.keys(labels).every((label) => label.length <= 317 && key.test(label)),
  message: "each key must be that of a label, such as app or example.com/app",
})
  .refine((labels) => Object.keys(labels).length <= mostLabels, `at most ${mostLabels} labels`)
  .meta({ maxProperties: mostLabels })
  .describe("Labels that an object must have, each with exactly this value.");

const expression = ruled(
  z.object({
    key: z.string().max(317).regex(key).describe("Key of the label."),
    operator: z
      .enum(["In", "NotIn", "Exists", "DoesNotExist"])
      .describe(
        "How the label is compared. In: it is there, with one of the values. NotIn: it is missing, or has none of the values. Exists, DoesNotExist: it is there, or is not, whatever its value.",
      ),
    values: z
      .array(value)
      .max(64)
      .meta({ "x-kubernetes-list-type": "atomic" })
      .optional()
      .describe("Values to compare with. At least one for In and NotIn; none for Exists and DoesNotExist."),
  }),
  {
    cel: "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
    holds: ({ operator, values = [] }) => ["In", "NotIn"].includes(operator) === values.length > 0,
    message: "values must be given for In and NotIn, and must not be for Exists and DoesNotExist",
  },
).describe("A condition on one label.");

export const labelSelector = z
  .object({
    matchLabels: matchLabels.optional(),
    matchExpressions: z
      .array(expression)
      .max(32)
      .meta({ "x-kubernetes-list-type": "atomic" })
      .optional()
      .describe("Conditions on labels, all of which must hold."),
  })
  .meta({ "x-kubernetes-map-type": "atomic" });

export type LabelSelector = z.output<typeof labelSelector>;
type Expression = z.output<typeof expression>;
export type Labels = Readonly<Record<string, string>>;

/** As Kubernetes has it: an absent selector matches nothing, an empty one everything. */
export function selectorMatches(selector: LabelSelector | undefined, labels: Labels = {}): boolean {
  if (selector === undefined) return false;
  const { matchLabels: wanted = {}, matchExpressions = [] } = selector;
  return (
    Object.entries(wanted).every(([label, text]) => labelOf(labels, label) === text) &&
    matchExpressions.every((one) => expressionHolds(one, labels))
  );
}

function expressionHolds({ key: label, operator, values = [] }: Expression, labels: Labels): boolean {
  const text = labelOf(labels, label);
  switch (operator) {
    case "In":
      return text !== undefined && values.includes(text);
    case "NotIn":
      return text === undefined || !values.includes(text);
    case "Exists":
      return text !== undefined;
    case "DoesNotExist":
      return text === undefined;
  }
}

/** Not what every object inherits, such as `constructor`. */
function labelOf(labels: Labels, label: string): string | undefined {
  return Object.hasOwn(labels, label) ? labels[label] : undefined;
}

/** As `kubectl get -l` takes it: "app=train,tier in (a,b),!old"; "" if it matches everything. */
export function selectorText({ matchLabels: wanted = {}, matchExpressions = [] }: LabelSelector): string {
  const equal = Object.entries(wanted).map(([label, text]) => `${label}=${text}`);
  return [...equal, ...matchExpressions.map(expressionText)].join(",");
}

function expressionText({ key: label, operator, values = [] }: Expression): string {
  switch (operator) {
    case "In":
      return `${label} in (${values.join(",")})`;
    case "NotIn":
      return `${label} notin (${values.join(",")})`;
    case "Exists":
      return label;
    case "DoesNotExist":
      return `!${label}`;
  }
}
