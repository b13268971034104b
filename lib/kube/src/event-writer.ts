/**
 * Writes one series of events to the API server so that each occurrence is counted once: also when an answer is lost, when
 * this program was restarted since, and when the event expired or was changed meanwhile.
 *
 * The event's name follows from the series. Each write carries its own name in an annotation and the newest mark that it
 * counts, and is made against the version of the object that is known. Whoever finds another version reads it and sees what
 * it already counts.
 */
import type { Client } from "./client.ts";
import { hasCode } from "./errors.ts";
import {
  type CoreEvent,
  cleanMessage,
  countedIn,
  eventName,
  eventResource,
  formatMark,
  markAnnotation,
  namespaceOf,
  timestamp,
  writeAnnotation,
} from "./event-objects.ts";
import type { Occurrence, Waiting } from "./event-queue.ts";
import { pathOf } from "./resource.ts";

export interface Reporter {
  /** The program, as in the FROM column of kubectl describe. */
  component: string;
  /** Which one of them: pod or node. */
  instance: string;
}

/** What is kept of an event between two writes. */
interface Known {
  resourceVersion: string;
  count: number;
  annotations: Record<string, string>;
}

/** Events that are remembered; the others are read anew before they are written. */
const mostKnown = 1000;
/** Someone else would have to write to the same event each time. */
const mostCollisions = 5;

export class EventWriter {
  readonly #client: Client;
  readonly #reporter: Reporter;
  readonly #known = new Map<string, Known>();

  constructor(client: Client, reporter: Reporter) {
    this.#client = client;
    this.#reporter = reporter;
  }

  /**
   * Counts the occurrences that `entry.write` names. Repeating it counts nothing twice.
   * @throws {ApiError}, {UnreachableError} as the client
   */
  async write(entry: Waiting, signal?: AbortSignal): Promise<void> {
    const occurrences = entry.occurrences.slice(0, entry.write?.count);
    for (let collision = 0; ; ++collision) {
      try {
        const known = this.#known.get(entry.key);
        if (known === undefined) await this.#create(entry, occurrences, signal);
        else await this.#update(entry, occurrences, known, signal);
        return;
      } catch (error) {
        if (hasCode(error, 409)) await this.#look(entry, signal);
        else if (!hasCode(error, 404) || !this.#known.delete(entry.key)) throw error;
        if (collision >= mostCollisions) throw error;
      }
    }
  }

  async #create(entry: Waiting, occurrences: readonly Occurrence[], signal?: AbortSignal): Promise<void> {
    const { latest } = entry;
    const times = occurrences.map(({ time }) => time);
    const body: CoreEvent = {
      apiVersion: eventResource.apiVersion,
      kind: eventResource.kind,
      metadata: {
        name: eventName(latest),
        namespace: namespaceOf(latest),
        annotations: annotationsOf(entry, occurrences),
      },
      involvedObject: latest.regarding,
      reason: latest.reason,
      message: cleanMessage(latest.message),
      type: latest.type,
      count: occurrences.length,
      firstTimestamp: timestamp(Math.min(...times)),
      lastTimestamp: timestamp(Math.max(...times)),
      source: { component: this.#reporter.component, host: this.#reporter.instance },
      reportingComponent: this.#reporter.component,
      reportingInstance: this.#reporter.instance,
    };
    const path = pathOf(eventResource, { namespace: namespaceOf(latest) });
    this.#remember(entry, await this.#client.request<CoreEvent>({ method: "POST", path, body, ...on(signal) }));
  }

  async #update(entry: Waiting, occurrences: readonly Occurrence[], known: Known, signal?: AbortSignal): Promise<void> {
    if (known.annotations[writeAnnotation] === entry.write?.name) return; // its answer was lost
    const fresh = occurrences.filter(({ mark }) => !countedIn(known.annotations[markAnnotation], mark));
    if (fresh.length === 0) return;
    const body = {
      metadata: { resourceVersion: known.resourceVersion, annotations: annotationsOf(entry, fresh) },
      count: known.count + fresh.length,
      lastTimestamp: timestamp(Math.max(...fresh.map(({ time }) => time))),
      message: cleanMessage(entry.latest.message),
    };
    const contentType = "application/merge-patch+json";
    const call = { method: "PATCH", path: this.#path(entry), body, contentType, ...on(signal) } as const;
    this.#remember(entry, await this.#client.request<CoreEvent>(call));
  }

  /** Learns what the server has, which may be nothing by now. */
  async #look(entry: Waiting, signal?: AbortSignal): Promise<void> {
    try {
      const path = this.#path(entry);
      this.#remember(entry, await this.#client.request<CoreEvent>({ method: "GET", path, ...on(signal) }));
    } catch (error) {
      if (!hasCode(error, 404)) throw error;
      this.#known.delete(entry.key);
    }
  }

  #path(entry: Waiting): string {
    return pathOf(eventResource, { namespace: namespaceOf(entry.latest), name: eventName(entry.latest) });
  }

  #remember(entry: Waiting, event: CoreEvent): void {
    const { resourceVersion = "", annotations = {} } = event.metadata ?? {};
    this.#known.delete(entry.key);
    this.#known.set(entry.key, { resourceVersion, count: event.count ?? 1, annotations });
    if (this.#known.size <= mostKnown) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }
}

function annotationsOf(entry: Waiting, occurrences: readonly Occurrence[]): Record<string, string> {
  const mark = occurrences.findLast((occurrence) => occurrence.mark !== undefined)?.mark;
  return {
    [writeAnnotation]: entry.write?.name ?? "",
    ...(mark === undefined ? {} : { [markAnnotation]: formatMark(mark) }),
  };
}

function on(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
