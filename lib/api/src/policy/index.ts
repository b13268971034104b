export {
  type CompressionPolicy,
  compressionPolicy,
  compressionPolicyResource,
  selectionText,
} from "./compression-policy.ts";
export {
  type Condition,
  type ConditionStatus,
  type Finding,
  type PolicyConditionReason,
  type PolicyConditionType,
  policyConditions,
  withCondition,
} from "./conditions.ts";
export { type NodeSettings, type PolicyControl, toControl, toNodeSettings } from "./control.ts";
export { comparePolicies, type OrderedPolicies, orderPolicies } from "./order.ts";
export { type NodePolicy, nodePolicyFor, type PodPolicy, policyFor, type Selectable, saysForNodes } from "./resolve.ts";
export { type CompressionPolicySpec, losslessCodecs } from "./spec.ts";
export { type CompressionPolicyStatus, mostNamedNodes } from "./status.ts";
