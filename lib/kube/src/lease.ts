/**
 * Election of one leader among several by a Lease, as client-go does it: the leader renews it; who finds it unchanged for its
 * duration, by a clock of its own, takes it. Times in the record are for people, nobody compares them with a clock.
 *
 *   const elector = new LeaseElector({ client, namespace, name: "loretoken-operator", identity: identityOf(podName), onStarted, … });
 *   await elector.run(signal);
 *
 * How it differs from client-go: the leader's time counts from when a renewal was sent, not from its answer; a leader that lost
 * takes part again once its work has ended; on a clean stop the lease is given up only after the work has ended.
 */
import { randomUUID } from "node:crypto";
import type { Requester } from "./client.ts";
import { aborted, type Clock, systemClock } from "./clock.ts";
import { hasCode } from "./errors.ts";
import { Leadership, momentOf } from "./leadership.ts";
import { type Lease, LeaseRecord, type LeaseSpec, microTime } from "./lease-record.ts";

export type StopReason = "lost" | "stopped" | "failed";

export interface LeaseElectorOptions {
  client: Requester;
  namespace: string;
  name: string;
  /** Of this run of this program: no two may ever have the same. See `identityOf`. */
  identity: string;
  /**
   * The work: begins, and may go on until it resolves. It ends when `leadership.signal` aborts, or the caller's own signal: then
   * the lease is held until it has ended, `grace` at most. If it rejects, the leadership is given up.
   */
  onStarted: (leadership: Leadership) => Promise<void> | void;
  onStopped?: (reason: StopReason) => void;
  /** Whenever another one leads, or nobody (an empty name). */
  onLeader?: (identity: string) => void;
  /** A try to take or renew the lease that failed for other reasons than someone else's being faster; or of the work. */
  onError?: (error: unknown) => void;
  /** Milliseconds; whole seconds. Others wait so long for a sign of life. */
  leaseDuration?: number;
  /** The leader stops if it could not renew for so long. The rest of leaseDuration is for requests that are still on their way. */
  renewDeadline?: number;
  /** Between two tries; those who wait for the lease spread theirs at random up to 2.2 times as much. */
  retryPeriod?: number;
  grace?: number;
  clock?: Clock;
  random?: () => number;
}

const jitter = 1.2;

export function identityOf(podName: string): string {
  return `${podName}_${randomUUID()}`;
}

interface Observed {
  lease: Lease;
  /** By the monotonic clock, when this version was first seen. */
  since: number;
}

export class LeaseElector {
  readonly #options: LeaseElectorOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #record: LeaseRecord;
  readonly #leaseDuration: number;
  readonly #renewDeadline: number;
  readonly #retryPeriod: number;
  #observed: Observed | undefined;
  #leadership: Leadership | undefined;

  constructor(options: LeaseElectorOptions) {
    const { client, namespace, name, clock = systemClock, random = Math.random } = options;
    const { leaseDuration = 15_000, renewDeadline = 10_000, retryPeriod = 2000, identity } = options;
    if (identity === "") throw new RangeError("an elector needs an identity");
    if (leaseDuration % 1000 !== 0) throw new RangeError("leaseDuration must be whole seconds");
    if (leaseDuration <= renewDeadline) throw new RangeError("leaseDuration must be longer than renewDeadline");
    if (renewDeadline <= jitter * retryPeriod) {
      throw new RangeError(`renewDeadline must be longer than ${jitter} times retryPeriod`);
    }
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#leaseDuration = leaseDuration;
    this.#renewDeadline = renewDeadline;
    this.#retryPeriod = retryPeriod;
    // A request that hangs must leave time for another one.
    this.#record = new LeaseRecord(client, clock, { namespace, name }, renewDeadline / 2);
  }

  /** Who leads as far as is known; empty if nobody. */
  get leader(): string {
    return this.#observed?.lease.spec?.holderIdentity ?? "";
  }

  get leading(): boolean {
    return this.#leadership?.leading ?? false;
  }

  /** Takes part until `signal` aborts: waits, leads, and waits again after a loss. Never rejects for what the server does. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const leadership = await this.#acquire(signal);
      if (leadership === undefined) return;
      this.#leadership = leadership;
      const reason = await this.#lead(leadership, signal);
      if (reason === "failed") await this.#clock.sleep(this.#wait(), signal);
    }
  }

  /** @returns undefined if `signal` aborted first */
  async #acquire(signal: AbortSignal): Promise<Leadership | undefined> {
    for (;;) {
      const sent = momentOf(this.#clock);
      const lease = await this.#try(signal);
      if (lease !== undefined) {
        const transitions = lease.spec?.leaseTransitions ?? 0;
        const leadership = new Leadership(this.#clock, sent, this.#renewDeadline, transitions);
        if (leadership.leading) return leadership;
      }
      if (signal.aborted) return undefined;
      await this.#clock.sleep(this.#wait(), signal);
      if (signal.aborted) return undefined;
    }
  }

  async #lead(leadership: Leadership, signal: AbortSignal): Promise<StopReason> {
    const { grace = 10_000, onStopped } = this.#options;
    const over = new AbortController();
    const work = this.#work(leadership);
    const failed = work.then((succeeded) => {
      if (!succeeded) over.abort();
      return !succeeded;
    });
    void aborted(AbortSignal.any([signal, leadership.signal]))
      .then(() => leadership.leading && this.#ended(work, signal, grace))
      .then(() => over.abort());
    await this.#renew(leadership, over.signal);
    const lost = !leadership.leading;
    leadership.end();
    const reason = lost ? "lost" : signal.aborted ? "stopped" : "failed";
    onStopped?.(reason);
    // Two terms of work never overlap, and nobody else is let in while work goes on.
    const ended = await this.#ended(failed, signal, lost ? grace : this.#retryPeriod);
    if (ended && !lost) await this.#release();
    return reason;
  }

  /** @returns false if it failed while it was to go on */
  async #work(leadership: Leadership): Promise<boolean> {
    try {
      await this.#options.onStarted(leadership);
      return true;
    } catch (error) {
      if (!leadership.leading) return true; // that its writes were refused is no news
      this.#options.onError?.(error);
      return false;
    }
  }

  /** Waits for `work`, after `signal` for `limit` at most. @returns whether it has ended */
  async #ended(work: Promise<unknown>, signal: AbortSignal, limit: number): Promise<boolean> {
    const stop = new AbortController();
    const tooLong = aborted(AbortSignal.any([signal, stop.signal])).then(() => this.#clock.sleep(limit, stop.signal));
    const ended = await Promise.race([work.then(() => true), tooLong.then(() => false)]);
    stop.abort();
    return ended;
  }

  /** Renews until `over`, or until the leadership has ended. */
  async #renew(leadership: Leadership, over: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([over, leadership.signal]);
    void this.#expire(leadership, stop);
    for (;;) {
      await this.#clock.sleep(this.#retryPeriod, stop);
      if (stop.aborted || !leadership.leading) return;
      const sent = momentOf(this.#clock);
      const lease = await this.#try(stop);
      if (lease !== undefined) leadership.confirm(sent);
      else if (this.#observed !== undefined && this.leader !== this.#options.identity) leadership.end();
    }
  }

  async #expire(leadership: Leadership, stop: AbortSignal): Promise<void> {
    for (let left = leadership.left; left > 0 && !stop.aborted; left = leadership.left) {
      await this.#clock.sleep(left, stop);
    }
  }

  /** @returns the lease if it is ours now, undefined if it is not or nothing is known */
  async #try(signal: AbortSignal): Promise<Lease | undefined> {
    try {
      return (await this.#renewKnown(signal)) ?? (await this.#take(signal));
    } catch (error) {
      if (!hasCode(error, 409) && !signal.aborted) this.#options.onError?.(error);
      return undefined;
    }
  }

  /** One request instead of two, while nobody else writes. */
  async #renewKnown(signal: AbortSignal): Promise<Lease | undefined> {
    if (this.#observed === undefined || this.leader !== this.#options.identity) return undefined;
    const { lease } = this.#observed;
    try {
      return this.#observe(await this.#record.update(lease, this.#claim(lease.spec), signal));
    } catch (error) {
      if (hasCode(error, 409) || hasCode(error, 404)) return undefined;
      throw error;
    }
  }

  async #take(signal: AbortSignal): Promise<Lease | undefined> {
    const lease = await this.#record.read(signal);
    if (lease === undefined) {
      // Someone deleted it. The leader does not know yet.
      if (!this.#isFree()) return undefined;
      return this.#observe(await this.#record.create(this.#claim(this.#observed?.lease.spec), signal));
    }
    this.#observe(lease);
    if (!this.#isFree()) return undefined;
    return this.#observe(await this.#record.update(lease, this.#claim(lease.spec), signal));
  }

  #isFree(): boolean {
    if (this.#observed === undefined || this.leader === "" || this.leader === this.#options.identity) return true;
    const { leaseDurationSeconds } = this.#observed.lease.spec ?? {};
    const duration = leaseDurationSeconds === undefined ? this.#leaseDuration : leaseDurationSeconds * 1000;
    return this.#clock.monotonic() - this.#observed.since > duration;
  }

  #claim(before: LeaseSpec | undefined): LeaseSpec {
    const { identity } = this.#options;
    const now = microTime(this.#clock.now());
    const kept = before?.holderIdentity === identity;
    return {
      holderIdentity: identity,
      leaseDurationSeconds: this.#leaseDuration / 1000,
      acquireTime: (kept ? before?.acquireTime : undefined) ?? now,
      renewTime: now,
      leaseTransitions: before === undefined ? 0 : (before.leaseTransitions ?? 0) + (kept ? 0 : 1),
    };
  }

  /** A change of labels is no sign of life. */
  #observe(lease: Lease): Lease {
    const before = this.leader;
    const known = this.#observed;
    const same = known !== undefined && JSON.stringify(known.lease.spec) === JSON.stringify(lease.spec);
    this.#observed = { lease, since: same ? known.since : this.#clock.monotonic() };
    if (known === undefined || before !== this.leader) this.#options.onLeader?.(this.leader);
    return lease;
  }

  /** So that the next one need not wait. */
  async #release(): Promise<void> {
    const { identity, onError } = this.#options;
    try {
      const lease = await this.#record.read();
      if (lease?.spec?.holderIdentity !== identity) return;
      const { holderIdentity: _, ...rest } = lease.spec;
      const now = microTime(this.#clock.now());
      this.#observe(
        await this.#record.update(lease, { ...rest, leaseDurationSeconds: 1, acquireTime: now, renewTime: now }),
      );
    } catch (error) {
      onError?.(error);
    }
  }

  #wait(): number {
    return this.#retryPeriod * (1 + jitter * this.#random());
  }
}
