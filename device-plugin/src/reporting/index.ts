export type { ContainerTelemetry } from "./container-telemetry.ts";
export { gpuNodeStatusOf, type NodePicture } from "./gpu-node-status.ts";
export { GpuNodeWriter, type GpuNodeWriterOptions } from "./gpu-node-writer.ts";
export { type GpuState, reportedGpu } from "./gpu-state.ts";
export { Metrics, type MetricsOptions } from "./metrics.ts";
export { NodeEvents, type NodeReason, nodeReference } from "./node-events.ts";
export { Reporting, type ReportingOptions } from "./reporting.ts";
export { TelemetryWatch, type WatchOptions } from "./telemetry-watch.ts";
