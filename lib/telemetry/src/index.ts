export * from "./abi.ts";
export { type CounterState, CounterSum, type Counters } from "./counters.ts";
export { decodeTelemetry, readTelemetry, type Telemetry, TelemetryError, type TelemetryFault } from "./file.ts";
export { type Alive, HostProcesses, liveRows } from "./liveness.ts";
export { noUse, type ProcessUse, useOf } from "./process-use.ts";
export { type FileFacts, type Glance, type Peek, type Snapshot, TelemetryReader } from "./reader.ts";
export { type RingPosition, type RingReading, readRing } from "./ring.ts";
export { type Guard, type Mode, plausible, type Usage, usageOf } from "./usage.ts";
export { isUuid, uuidBytes, uuidText } from "./uuid.ts";
