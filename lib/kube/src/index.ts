export { type ApplyOptions, apply, FieldConflictError } from "./apply.ts";
export { Backoff, type BackoffOptions } from "./backoff.ts";
export { type Call, Client, type ClientOptions, loadKubeConfig, type Query } from "./client.ts";
export { type Clock, systemClock } from "./clock.ts";
export { ApiError, hasCode, isTransient, type Status, UnreachableError } from "./errors.ts";
export {
  type CoreEvent,
  type EventInput,
  eventResource,
  type Mark,
  markAnnotation,
  type ObjectReference,
  writeAnnotation,
} from "./event-objects.ts";
export type { PaceOptions } from "./event-pace.ts";
export type { Outcome } from "./event-queue.ts";
export { EventRecorder, type RecorderFigures, type RecorderLog, type RecorderOptions } from "./event-recorder.ts";
export type { Reporter } from "./event-writer.ts";
export { type KubeObject, type ObjectMeta, type OwnerReference, pathOf, type Resource } from "./resource.ts";
export { type RetryOptions, retry } from "./retry.ts";
