export { type ApplyOptions, apply, type FieldConflict, FieldConflictError } from "./apply.ts";
export { Backoff, type BackoffOptions } from "./backoff.ts";
export { type Call, Client, type ClientOptions, loadKubeConfig, type Query, type Requester } from "./client.ts";
export { type Clock, systemClock } from "./clock.ts";
export {
  Controller,
  type ControllerLog,
  type ControllerOptions,
  type OutcomeKind,
  outcomes,
  type Reconcile,
  type ReconcileContext,
  type Result,
  TerminalError,
} from "./controller.ts";
export { type Handlers, keyOf } from "./deltas.ts";
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
export { fenced, Leadership, NotLeadingError } from "./leadership.ts";
export { identityOf, LeaseElector, type LeaseElectorOptions, type StopReason } from "./lease.ts";
export { type Lease, type LeaseSpec, leaseResource } from "./lease-record.ts";
export { type Listed, type ListOptions, list, type Selection } from "./list.ts";
export { Reflector, type ReflectorOptions } from "./reflector.ts";
export { type ReflectorObserver, type WatchEnd, watchEnds } from "./reflector-observer.ts";
export { type KubeObject, type ObjectMeta, type OwnerReference, pathOf, type Resource } from "./resource.ts";
export { type RetryOptions, retry } from "./retry.ts";
export { type IndexFunction, type Key, type ReadableStore, Store } from "./store.ts";
export type { BucketOptions } from "./token-bucket.ts";
export { WorkQueue, type WorkQueueFigures, type WorkQueueOptions } from "./workqueue.ts";
