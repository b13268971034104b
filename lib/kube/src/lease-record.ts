/** The Lease object of an election: who leads, since when, and how long others wait without a sign of life. */
import type { Call, Requester } from "./client.ts";
import type { Clock } from "./clock.ts";
import { hasCode } from "./errors.ts";
import { type KubeObject, pathOf, type Resource } from "./resource.ts";

export const leaseResource: Resource = {
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  plural: "leases",
  namespaced: true,
};

export interface LeaseSpec {
  /** Empty when the last leader gave it up. */
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

export interface Lease extends KubeObject {
  spec?: LeaseSpec;
}

/** One lease on the server. Every write holds only if nobody else wrote since. */
export class LeaseRecord {
  readonly #client: Requester;
  readonly #clock: Clock;
  readonly #at: { namespace: string; name: string };
  readonly #timeout: number;

  /** @param timeout milliseconds for a request, all in all */
  constructor(client: Requester, clock: Clock, at: { namespace: string; name: string }, timeout: number) {
    this.#client = client;
    this.#clock = clock;
    this.#at = at;
    this.#timeout = timeout;
  }

  /** @returns undefined if there is none */
  async read(signal?: AbortSignal): Promise<Lease | undefined> {
    try {
      return await this.#request({ method: "GET", path: pathOf(leaseResource, this.#at) }, signal);
    } catch (error) {
      if (hasCode(error, 404)) return undefined;
      throw error;
    }
  }

  /** @throws {ApiError} with code 409 if someone else was faster */
  create(spec: LeaseSpec, signal?: AbortSignal): Promise<Lease> {
    const { apiVersion, kind } = leaseResource;
    const path = pathOf(leaseResource, { namespace: this.#at.namespace });
    return this.#request({ method: "POST", path, body: { apiVersion, kind, metadata: this.#at, spec } }, signal);
  }

  /**
   * @param lease as it was read; its labels and the like stay
   * @throws {ApiError} with code 409 if it was written since
   */
  update(lease: Lease, spec: LeaseSpec, signal?: AbortSignal): Promise<Lease> {
    return this.#request({ method: "PUT", path: pathOf(leaseResource, this.#at), body: { ...lease, spec } }, signal);
  }

  async #request(call: Call, signal: AbortSignal | undefined): Promise<Lease> {
    const late = new AbortController();
    const answered = new AbortController();
    void this.#clock.sleep(this.#timeout, answered.signal).then(() => late.abort());
    try {
      const either = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
      return await this.#client.request<Lease>({ ...call, signal: either });
    } finally {
      answered.abort();
    }
  }
}

/** As MicroTime is written. */
export function microTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace("Z", "000Z");
}
