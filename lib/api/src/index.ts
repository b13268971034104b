export { eventsReference, type Reason, type ReasonFacts, reasons } from "./events.ts";
export {
  type ContainerPolicyReason,
  type GpuContainer,
  type GpuNode,
  type GpuNodeStatus,
  type GpuStatus,
  gpuNode,
  gpuNodeResource,
  gpuNodeStatus,
  mostUnreadable,
  type NodePolicyReason,
} from "./gpu-node.ts";
export { type HintGroup, hintGroups, hintsUnless } from "./hints.ts";
export { type LabelSelector, type Labels, selectorMatches, selectorText } from "./label-selector.ts";
export {
  allocationVariables,
  annotations,
  apiVersion,
  components,
  fieldOwners,
  group,
  labels,
  version,
  vramResource,
} from "./names.ts";
export * from "./policy/index.ts";
export { memoryQuantity, parseQuantity, ratioText, shortMemory } from "./quantity.ts";
