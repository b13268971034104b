/**
 * Kubernetes Events as objects. They are written as core v1, not as events.k8s.io/v1: the API server keeps both as the same
 * object, but the newer API forbids to change the note of a series, and here the note carries the figures of the latest
 * occurrence. docs/adr/0011-events-as-core-v1.md
 */
import { createHash } from "node:crypto";
import type { KubeObject, Resource } from "./resource.ts";

export const eventResource: Resource = { apiVersion: "v1", kind: "Event", plural: "events", namespaced: true };

export interface ObjectReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  /** Left out for cluster-scoped objects; their events lie in `default`. */
  namespace?: string;
  /** A part of the object, as kubectl shows it: spec.containers{name}. */
  fieldPath?: string;
}

/** Where an event came from, if it comes from something that is read again after a restart. Ordered by epoch, then number. */
export interface Mark {
  source: string;
  epoch: number;
  number: number;
}

export interface EventInput {
  regarding: ObjectReference;
  type: "Normal" | "Warning";
  /** One of a documented list, UpperCamelCase. */
  reason: string;
  /** For a person, with the figures. */
  message: string;
  /** Events of one object with the same reason are one series; this tells series apart where that is too coarse. */
  series?: string;
  /** Milliseconds since the epoch; left out: now. */
  time?: number;
  mark?: Mark;
}

export interface CoreEvent extends KubeObject {
  involvedObject: ObjectReference;
  reason: string;
  message: string;
  type: string;
  count: number;
  firstTimestamp: string;
  lastTimestamp: string;
  source: { component: string; host?: string };
  reportingComponent: string;
  reportingInstance: string;
}

/** Which write the event's figures are of: tells a write whose answer was lost from one that never arrived. */
export const writeAnnotation = "loretoken.dev/event-write";
/** The newest mark that is counted in the event. */
export const markAnnotation = "loretoken.dev/event-mark";

const longestName = 253;
/** The API server's limit for messages of events. */
const longestMessage = 1024;

export function namespaceOf(input: EventInput): string {
  return input.regarding.namespace ?? "default";
}

/** Equal for events that are counted in one object. */
export function seriesKey(input: EventInput): string {
  const { regarding, type, reason, series = "" } = input;
  return JSON.stringify([regarding.kind, regarding.namespace, regarding.name, regarding.uid, type, reason, series]);
}

/** Follows from the series alone, so that a restarted recorder meets what it wrote before. */
export function eventName(input: EventInput): string {
  const digest = createHash("sha256").update(seriesKey(input)).digest("hex").slice(0, 16);
  const head = input.regarding.name.slice(0, longestName - digest.length - 1).replace(/[-.]+$/, "");
  return `${head}.${digest}`;
}

/** Control characters would reach terminals through kubectl; they come from programs that are not trusted. */
export function cleanMessage(text: string): string {
  const clean = text.replaceAll(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}]+/gu, " ").trim();
  return clean.length <= longestMessage ? clean : `${clean.slice(0, longestMessage - 1)}…`;
}

export function timestamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, "Z");
}

export function formatMark({ source, epoch, number }: Mark): string {
  return `${source}/${epoch}/${number}`;
}

/** @returns whether `mark` is already counted in an event that carries this annotation. */
export function countedIn(annotation: string | undefined, mark: Mark | undefined): boolean {
  const match = /^(.*)\/(\d+)\/(\d+)$/.exec(annotation ?? "");
  if (match === null || mark === undefined || match[1] !== mark.source) return false;
  const [epoch, number] = [Number(match[2]), Number(match[3])];
  return epoch > mark.epoch || (epoch === mark.epoch && number >= mark.number);
}
