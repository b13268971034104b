/**
 * The right to write, for as long as it is certain that nobody else has it. It ends by itself: whoever is about to write asks
 * with `assertLeading`, which compares the time and so is right also after the program stood still (a blocked event loop,
 * SIGSTOP, a machine put to sleep), before any timer had its turn.
 *
 * What no check on this side can do is to take back a request that was on its way when the right ended. For that there is the
 * time between renewDeadline and leaseDuration, in which nobody leads. A server that stands still with a request in its buffer
 * may carry it out even later: what must not happen then is written with `metadata.resourceVersion`, which the server checks.
 */
import type { Call, Requester } from "./client.ts";
import type { Clock } from "./clock.ts";

export class NotLeadingError extends Error {
  override name = "NotLeadingError";
}

/**
 * Moments by two clocks. The monotonic one may stand still while a machine sleeps, the other one may be set back: of what they
 * say, the longer time counts.
 */
export interface Moment {
  readonly wall: number;
  readonly monotonic: number;
}

export function momentOf(clock: Clock): Moment {
  return { wall: clock.now(), monotonic: clock.monotonic() };
}

export function elapsedSince(moment: Moment, clock: Clock): number {
  return Math.max(clock.now() - moment.wall, clock.monotonic() - moment.monotonic);
}

export class Leadership {
  /** Aborts when the right has ended. A write in flight that has it is broken off. */
  readonly signal: AbortSignal;
  /** How often the lease has changed hands: grows from leader to leader. */
  readonly transitions: number;
  readonly #clock: Clock;
  readonly #validFor: number;
  readonly #end = new AbortController();
  #confirmed: Moment;

  /**
   * @param confirmed when the request was sent that the server agreed to
   * @param validFor milliseconds from then
   */
  constructor(clock: Clock, confirmed: Moment, validFor: number, transitions: number) {
    this.#clock = clock;
    this.#confirmed = confirmed;
    this.#validFor = validFor;
    this.transitions = transitions;
    this.signal = this.#end.signal;
  }

  /** Milliseconds that are left; 0 when it has ended. Once ended it stays so. */
  get left(): number {
    if (this.signal.aborted) return 0;
    const left = this.#validFor - elapsedSince(this.#confirmed, this.#clock);
    if (left > 0) return left;
    this.end();
    return 0;
  }

  get leading(): boolean {
    return this.left > 0;
  }

  /** @throws {NotLeadingError} */
  assertLeading(): void {
    if (!this.leading) throw new NotLeadingError("no longer the leader: nothing may be written");
  }

  /** @returns false if it had ended before, which a late answer does not change */
  confirm(sent: Moment): boolean {
    if (!this.leading) return false;
    this.#confirmed = sent;
    return this.leading;
  }

  end(): void {
    if (!this.signal.aborted) this.#end.abort(new NotLeadingError("the leadership ended"));
  }
}

/** A client whose every write asks for the right at the last moment, and is broken off when the right ends. */
export function fenced(client: Requester, leadership: Leadership): Requester {
  return {
    async request<T>(call: Call): Promise<T> {
      if (call.method === "GET") return client.request<T>(call);
      leadership.assertLeading();
      const { signal } = call;
      return client.request<T>({
        ...call,
        signal: signal === undefined ? leadership.signal : AbortSignal.any([signal, leadership.signal]),
        guard: () => {
          call.guard?.();
          leadership.assertLeading();
        },
      });
    },
  };
}
