/** Up to where a ring was delivered: the last position before which nothing is still under way. */
import type { RingPosition } from "@loretoken/telemetry";

export interface Underway {
  /** What is at the position was delivered, or never will be. */
  settled(): void;
  /** It did not start. */
  cancel(): void;
}

export class DeliveryTracker {
  #reached: RingPosition | undefined;
  readonly #underWay: { position: RingPosition; settled: boolean }[] = [];

  constructor(reached?: RingPosition) {
    this.#reached = reached;
  }

  get reached(): RingPosition | undefined {
    return this.#reached;
  }

  /** In the ring's order. */
  begin(position: RingPosition): Underway {
    const entry = { position, settled: false };
    this.#underWay.push(entry);
    return {
      settled: () => {
        entry.settled = true;
        while (this.#underWay[0]?.settled) this.#reached = this.#underWay.shift()?.position;
      },
      cancel: () => {
        this.#underWay.splice(this.#underWay.indexOf(entry), 1);
      },
    };
  }
}
