/** One Lease as the API server keeps it, without a network: versions are checked, and requests meet what the test wants. */
import type { Call, Requester } from "../client.ts";
import { ApiError, UnreachableError } from "../errors.ts";
import type { Lease } from "../lease-record.ts";

/** `lost`: carried out, but nobody hears of it. `hang`: never answered, whether or not it was carried out. */
export type LeaseFault = "lost" | "refused" | "hang" | "hangAfter" | number;

export class LeaseServer {
  lease: Lease | undefined;
  #version = 0;
  #uid = 0;
  /** Every holder that was written, in order. */
  readonly holders: string[] = [];
  readonly requests: { method: string; from: string }[] = [];

  /**
   * @param from who asks
   * @param fault asked at each request
   * @param way how long the request and its answer take
   */
  requester(from: string, fault: () => LeaseFault | undefined, way: () => Promise<void> = async () => {}): Requester {
    return {
      request: async <T>(call: Call): Promise<T> => {
        this.requests.push({ method: call.method, from });
        await orAborted(way(), call.signal);
        const met = fault();
        if (met === "refused") throw new UnreachableError("refused by the test");
        if (typeof met === "number") throw new ApiError("by the test", met, {});
        if (met === "hang") return orAborted(new Promise<T>(() => {}), call.signal);
        const answer = structuredClone(this.#carryOut(call)) as T;
        if (met === "hangAfter") return orAborted(new Promise<T>(() => {}), call.signal);
        if (met === "lost") throw new UnreachableError("answer lost by the test");
        await orAborted(way(), call.signal);
        return answer;
      },
    };
  }

  #carryOut({ method, body }: Call): Lease {
    if (method === "POST") {
      if (this.lease !== undefined) throw new ApiError("POST", 409, { reason: "AlreadyExists" });
      this.#uid += 1;
      return this.#store(body as Lease);
    }
    if (this.lease === undefined) throw new ApiError(method, 404, { reason: "NotFound" });
    if (method === "GET") return this.lease;
    const { resourceVersion, uid } = (body as Lease).metadata ?? {};
    const now = this.lease.metadata;
    if (resourceVersion !== now?.resourceVersion || uid !== now?.uid) {
      throw new ApiError(method, 409, { reason: "Conflict" });
    }
    return this.#store(body as Lease);
  }

  #store(lease: Lease): Lease {
    const metadata = { ...lease.metadata, resourceVersion: String(++this.#version), uid: `u${this.#uid}` };
    this.lease = structuredClone({ ...lease, metadata });
    const holder = lease.spec?.holderIdentity ?? "";
    if (this.holders.at(-1) !== holder) this.holders.push(holder);
    return this.lease;
  }
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const give = (): void => reject(new UnreachableError("aborted"));
    if (signal?.aborted) return give();
    signal?.addEventListener("abort", give, { once: true });
    promise.then(resolve, reject);
  });
}
