/** CompressionPolicies that are good, and that are not: the schema and the API server must say the same of each. */

export interface GoodPolicy {
  readonly what: string;
  readonly spec: object;
}

export interface BadPolicy extends GoodPolicy {
  /** The field that is named, as the API server writes it. */
  readonly at: string;
  /** In the API server's message; where it is a text, it is one of our rules and the schema's message is the same. */
  readonly says: string | RegExp;
}

const expressions = (one: object): object => ({ podSelector: { matchExpressions: [one] } });

export const goodPolicies: readonly GoodPolicy[] = [
  { what: "nothing said", spec: {} },
  {
    what: "everything said",
    spec: {
      podSelector: {
        matchLabels: { app: "train", "example.com/tier": "" },
        matchExpressions: [
          { key: "team", operator: "In", values: ["ml", "vision"] },
          { key: "example.com/legacy", operator: "DoesNotExist" },
        ],
      },
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "ml" } },
      nodeSelector: { matchExpressions: [{ key: "nvidia.com/gpu.product", operator: "Exists", values: [] }] },
      priority: -5,
      suspend: true,
      expansion: 2.125,
      physicalReserve: "2.5%",
      mode: "hold",
      tiers: { host: { enabled: true, limitPerContainer: "1.5Gi" } },
      codecs: { allow: ["constant", "exponent_bf16"] },
      verify: "sample",
      pointerSafety: "strict",
      guardrails: {
        integrity: { action: "passthrough", threshold: 3, windowSeconds: 60 },
        penalty: { maxPercent: 5, windowSeconds: 30 },
        thermal: { maxCelsius: 85 },
        power: { maxWatts: 600 },
      },
    },
  },
  { what: "all pods", spec: { podSelector: {} } },
  {
    what: "all codecs by name",
    spec: { codecs: { allow: ["constant", "zero_run", "exponent_bf16", "exponent_fp16", "exponent_fp32"] } },
  },
  { what: "no host memory", spec: { tiers: { host: { enabled: false } } } },
  { what: "host memory at its bounds", spec: { tiers: { host: { limitPerContainer: "67108864" } } } },
  { what: "host memory at its upper bound", spec: { tiers: { host: { limitPerContainer: "64Ti" } } } },
  { what: "the least expansion", spec: { expansion: 1 } },
  { what: "the largest expansion", spec: { expansion: 8 } },
  { what: "a reserve in bytes", spec: { physicalReserve: "2G" } },
  { what: "no reserve", spec: { physicalReserve: "0" } },
  {
    what: "limits by what cards state",
    spec: { guardrails: { thermal: { marginCelsius: 5 }, power: { maxPercent: 95 } } },
  },
  { what: "a penalty that never acts", spec: { guardrails: { penalty: { maxPercent: 100 } } } },
];

export const badPolicies: readonly BadPolicy[] = [
  { what: "an expansion below 1", spec: { expansion: 0.9 }, at: "spec.expansion", says: /greater than or equal to 1/ },
  { what: "an expansion above 8", spec: { expansion: 8.001 }, at: "spec.expansion", says: /less than or equal to 8/ },
  { what: "an expansion as text", spec: { expansion: "2" }, at: "spec.expansion", says: /must be of type number/ },
  { what: "a priority with a fraction", spec: { priority: 1.5 }, at: "spec.priority", says: /must be of type integer/ },
  {
    what: "a priority beyond all others",
    spec: { priority: 1_000_001 },
    at: "spec.priority",
    says: /less than or equal to 1000000/,
  },
  { what: "a reserve of no size", spec: { physicalReserve: "much" }, at: "spec.physicalReserve", says: /should match/ },
  {
    what: "all of a GPU in reserve",
    spec: { physicalReserve: "100%" },
    at: "spec.physicalReserve",
    says: /should match/,
  },
  { what: "a negative reserve", spec: { physicalReserve: "-1Gi" }, at: "spec.physicalReserve", says: /should match/ },
  {
    what: "more in reserve than there is",
    spec: { physicalReserve: "65Ti" },
    at: "spec.physicalReserve",
    says: "must be at most 64Ti",
  },
  { what: "an unknown mode", spec: { mode: "on" }, at: "spec.mode", says: /supported values: "full", "hold", "off"/ },
  { what: "an unknown way to verify", spec: { verify: "never" }, at: "spec.verify", says: /supported values/ },
  {
    what: "an unknown pointer safety",
    spec: { pointerSafety: "none" },
    at: "spec.pointerSafety",
    says: /supported values/,
  },
  { what: "suspend as text", spec: { suspend: "yes" }, at: "spec.suspend", says: /must be of type boolean/ },
  { what: "no codec at all", spec: { codecs: { allow: [] } }, at: "spec.codecs.allow", says: /at least 1 items/ },
  {
    what: "a codec twice",
    spec: { codecs: { allow: ["constant", "constant"] } },
    at: "spec.codecs.allow[1]",
    says: /Duplicate value/,
  },
  {
    what: "a codec that is not there",
    spec: { codecs: { allow: ["constant", "fp8"] } },
    at: "spec.codecs.allow[1]",
    says: /supported values/,
  },
  {
    what: "too little host memory",
    spec: { tiers: { host: { limitPerContainer: "63Mi" } } },
    at: "spec.tiers.host.limitPerContainer",
    says: "must be from 64Mi to 64Ti",
  },
  {
    what: "too much host memory",
    spec: { tiers: { host: { limitPerContainer: "64.001Ti" } } },
    at: "spec.tiers.host.limitPerContainer",
    says: "must be from 64Mi to 64Ti",
  },
  {
    what: "host memory in a unit that is none",
    spec: { tiers: { host: { limitPerContainer: "16GiB" } } },
    at: "spec.tiers.host.limitPerContainer",
    says: /should match/,
  },
  {
    what: "a limit for a tier that is off",
    spec: { tiers: { host: { enabled: false, limitPerContainer: "16Gi" } } },
    at: "spec.tiers.host",
    says: "limitPerContainer must not be given when enabled is false",
  },
  {
    what: "two limits for heat",
    spec: { guardrails: { thermal: { maxCelsius: 85, marginCelsius: 5 } } },
    at: "spec.guardrails.thermal",
    says: "exactly one of maxCelsius and marginCelsius must be given",
  },
  {
    what: "a thermal guardrail without limit",
    spec: { guardrails: { thermal: {} } },
    at: "spec.guardrails.thermal",
    says: "exactly one of maxCelsius and marginCelsius must be given",
  },
  {
    what: "two limits for power",
    spec: { guardrails: { power: { maxWatts: 500, maxPercent: 90 } } },
    at: "spec.guardrails.power",
    says: "exactly one of maxWatts and maxPercent must be given",
  },
  {
    what: "a power guardrail without limit",
    spec: { guardrails: { power: {} } },
    at: "spec.guardrails.power",
    says: "exactly one of maxWatts and maxPercent must be given",
  },
  {
    what: "a GPU that may boil",
    spec: { guardrails: { thermal: { maxCelsius: 200 } } },
    at: "spec.guardrails.thermal.maxCelsius",
    says: /less than or equal to 120/,
  },
  {
    what: "a penalty above all of the time",
    spec: { guardrails: { penalty: { maxPercent: 101 } } },
    at: "spec.guardrails.penalty.maxPercent",
    says: /less than or equal to 100/,
  },
  {
    what: "an unknown integrity action",
    spec: { guardrails: { integrity: { action: "panic" } } },
    at: "spec.guardrails.integrity.action",
    says: /supported values/,
  },
  {
    what: "a window of no time",
    spec: { guardrails: { integrity: { windowSeconds: 0 } } },
    at: "spec.guardrails.integrity.windowSeconds",
    says: /greater than or equal to 1/,
  },
  {
    what: "In without values",
    spec: expressions({ key: "app", operator: "In" }),
    at: "spec.podSelector.matchExpressions[0]",
    says: "values must be given for In and NotIn, and must not be for Exists and DoesNotExist",
  },
  {
    what: "NotIn with an empty list",
    spec: expressions({ key: "app", operator: "NotIn", values: [] }),
    at: "spec.podSelector.matchExpressions[0]",
    says: "values must be given for In and NotIn, and must not be for Exists and DoesNotExist",
  },
  {
    what: "Exists with values",
    spec: expressions({ key: "app", operator: "Exists", values: ["a"] }),
    at: "spec.podSelector.matchExpressions[0]",
    says: "values must be given for In and NotIn, and must not be for Exists and DoesNotExist",
  },
  {
    what: "an unknown operator",
    spec: expressions({ key: "app", operator: "Gt", values: ["1"] }),
    at: "spec.podSelector.matchExpressions[0].operator",
    says: /supported values/,
  },
  {
    what: "no operator",
    spec: expressions({ key: "app" }),
    at: "spec.podSelector.matchExpressions[0].operator",
    says: /Required value/,
  },
  {
    what: "a key that no label can have",
    spec: expressions({ key: "a b", operator: "Exists" }),
    at: "spec.podSelector.matchExpressions[0].key",
    says: /should match/,
  },
  {
    what: "a value that no label can have",
    spec: { nodeSelector: { matchLabels: { app: "a b" } } },
    at: "spec.nodeSelector.matchLabels.app",
    says: /should match/,
  },
  {
    what: "a label that is none",
    spec: { namespaceSelector: { matchLabels: { "/app": "a" } } },
    at: "spec.namespaceSelector.matchLabels",
    says: "each key must be that of a label, such as app or example.com/app",
  },
  {
    what: "too many labels",
    spec: { podSelector: { matchLabels: Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`l${at}`, ""])) } },
    at: "spec.podSelector.matchLabels",
    says: /at most 32 items/,
  },
];
