export * from "./abi.ts";
export { decodeTelemetry, readTelemetry, type Telemetry, TelemetryError } from "./file.ts";
export { isUuid, uuidBytes, uuidText } from "./uuid.ts";
