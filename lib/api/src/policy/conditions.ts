/** The conditions of a CompressionPolicy: their reasons, their schema, and how one is set. */
import { z } from "zod";
import { mapList } from "../fields.ts";

export type ConditionStatus = "True" | "False" | "Unknown";

interface ReasonFacts {
  readonly status: ConditionStatus;
  /** When the condition has this reason. */
  readonly when: string;
}

/** By type, with every reason that each can have. docs/reference/compressionpolicies.md lists them. */
export const policyConditions = {
  Accepted: {
    meaning: "Whether the policy is understood and in force.",
    reasons: {
      Valid: { status: "True", when: "The policy is in force." },
      Suspended: { status: "False", when: "spec.suspend is true: the status says what the policy would select." },
      Invalid: {
        status: "False",
        when: "The policy was stored under other rules, and breaks those of this version; the message names the field.",
      },
    },
  },
  Applied: {
    meaning: "Whether every container and node that the policy applies to goes by its present generation.",
    reasons: {
      Everywhere: { status: "True", when: "All of them do." },
      NothingSelected: { status: "True", when: "There is no container and no node that the policy applies to." },
      Delivering: { status: "False", when: "Nodes have been told and have not answered yet." },
      NodesBehind: {
        status: "False",
        when: "Nodes do not answer, or have another generation for too long: status.nodesBehind has their names.",
      },
      NotInForce: { status: "False", when: "The policy is suspended or invalid; see Accepted." },
    },
  },
  Degraded: {
    meaning: "Whether a guardrail keeps a container that the policy applies to from what the policy asks for.",
    reasons: {
      AsAsked: { status: "False", when: "All containers pack as the policy asks." },
      GuardrailActs: { status: "True", when: "A container is in a stricter mode; the message says which, and why." },
      NoFigures: { status: "Unknown", when: "Nodes that the policy applies to have reported nothing of late." },
      NotInForce: { status: "False", when: "The policy is suspended or invalid; see Accepted." },
    },
  },
  Conflicting: {
    meaning: "Whether something that the policy selects goes by another policy.",
    reasons: {
      NoConflict: { status: "False", when: "All that the policy selects goes by it." },
      Overruled: {
        status: "True",
        when: "Pods or nodes go by a policy that comes first, or that the pod names; the message says how many and which policy.",
      },
      NamedFromOutside: {
        status: "True",
        when: "Pods name the policy that are outside of its namespaceSelector or nodeSelector; it does not apply to them.",
      },
      NotInForce: { status: "False", when: "The policy is suspended or invalid; see Accepted." },
    },
  },
} as const satisfies Record<string, { meaning: string; reasons: Record<string, ReasonFacts> }>;

export type PolicyConditionType = keyof typeof policyConditions;
export type PolicyConditionReason<T extends PolicyConditionType> = keyof (typeof policyConditions)[T]["reasons"] &
  string;

/** metav1.Condition. */
export const condition = z
  .object({
    type: z
      .string()
      .max(316)
      .regex(/^[A-Z][A-Za-z]*$/)
      .describe("Kind of the condition: Accepted, Applied, Degraded or Conflicting."),
    status: z.enum(["True", "False", "Unknown"]).describe("Whether the condition holds."),
    observedGeneration: z
      .int()
      .min(0)
      .optional()
      .describe(
        "Generation of the policy that the condition was found for; another one than the policy's is out of date.",
      ),
    lastTransitionTime: z.iso.datetime().describe("When the status of the condition last changed."),
    reason: z
      .string()
      .min(1)
      .max(1024)
      .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/)
      .describe("Why, in one word, for programs."),
    message: z.string().max(32_768).describe("Why, with names and figures, for people."),
  })
  .describe("One thing that is, or is not, so about the policy.");

export const conditions = z
  .array(condition)
  .max(16)
  .meta(mapList("type"))
  .describe("How the policy stands: Accepted, Applied, Degraded, Conflicting.");

export type Condition = z.output<typeof condition>;

/** What is found of a policy now; the reason says the status. */
export interface Finding<T extends PolicyConditionType> {
  readonly type: T;
  readonly reason: PolicyConditionReason<T>;
  readonly message: string;
  readonly observedGeneration: number;
}

/**
 * The conditions with one of them as found; its transition time is kept while its status stays.
 * @param now an RFC 3339 time
 */
export function withCondition<T extends PolicyConditionType>(
  before: readonly Condition[],
  { type, reason, message, observedGeneration }: Finding<T>,
  now: string,
): Condition[] {
  const facts: Readonly<Record<string, ReasonFacts>> = policyConditions[type].reasons;
  const status = facts[reason]?.status ?? "Unknown";
  const old = before.find((one) => one.type === type);
  const lastTransitionTime = old?.status === status ? old.lastTransitionTime : now;
  const found = { type, status, observedGeneration, lastTransitionTime, reason, message };
  return old === undefined ? [...before, found] : before.map((one) => (one === old ? found : one));
}
