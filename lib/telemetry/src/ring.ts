/**
 * Reads the ring of guardrail events from where the last look ended: none twice, none left out but those that the ring
 * had overwritten, which are counted.
 */
import type { TelemetryEvent } from "./abi.ts";
import type { Snapshot } from "./reader.ts";
import { plausible } from "./usage.ts";

/** Up to where the ring was read. Plain data for JSON. */
export interface RingPosition {
  /** Counts the files that were met under this name: a container that is restarted in place starts a new ring. */
  epoch: number;
  inode: string;
  /** Of the last event read; 0: none. */
  number: number;
  /** Of the last event read, nanoseconds: tells a new ring from the old one when both have such a number. */
  realtime: number;
}

export interface RingReading {
  readonly events: readonly TelemetryEvent[];
  /** Events that came and were overwritten, or never finished, since the last reading. */
  readonly lost: number;
  /** After these events. */
  readonly position: RingPosition;
  /** A process is writing this event, or died while it did. */
  readonly unfinished?: number;
}

/**
 * @param position undefined: from the ring's first event on
 * @param abandoned number of an event that has been unfinished for so long that it is passed over
 */
export function readRing(snapshot: Snapshot, position?: RingPosition, abandoned?: number): RingReading {
  const after = plausible(snapshot.eventNextAfter);
  const newest = Math.min(plausible(snapshot.header.event_next), after);
  // An event that is older than this was perhaps being overwritten while it was copied.
  const oldest = Math.max(1, after - snapshot.header.event_count + 1);
  const start = startOf(snapshot, after, oldest, position);
  const first = Math.max(start.number + 1, oldest);
  const whole = new Map(snapshot.events.map((event) => [event.number, event]));
  const events: TelemetryEvent[] = [];
  let lost = first - start.number - 1;
  let number = first - 1;
  let unfinished: number | undefined;
  while (number < newest) {
    const event = whole.get(number + 1);
    if (event === undefined && number + 1 !== abandoned) {
      unfinished = number + 1;
      break;
    }
    ++number;
    if (event === undefined) ++lost;
    else events.push(event);
  }
  const last = events.at(-1);
  const realtime = last?.number === number ? last.realtime_ns : number === start.number ? start.realtime : 0;
  return {
    events,
    lost,
    position: { epoch: start.epoch, inode: snapshot.inode, number, realtime },
    ...(unfinished === undefined ? {} : { unfinished }),
  };
}

function startOf(snapshot: Snapshot, after: number, oldest: number, position?: RingPosition): RingPosition {
  if (position !== undefined && !isNew(snapshot, after, oldest, position)) return position;
  return { epoch: (position?.epoch ?? 0) + 1, inode: snapshot.inode, number: 0, realtime: 0 };
}

/** Another file, one that has counted less far, or one whose event of that number is another. */
function isNew(snapshot: Snapshot, after: number, oldest: number, position: RingPosition): boolean {
  if (snapshot.inode !== position.inode || after < position.number) return true;
  if (position.number < oldest || position.realtime === 0) return false;
  const same = snapshot.events.find(({ number }) => number === position.number);
  return same !== undefined && same.realtime_ns !== position.realtime;
}
