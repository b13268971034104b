/**
 * One limit's way up and down: back off, hold, off. Up at once when the limit is broken, and on when it stays broken; down step by step
 * after a while of calm. The while grows with each relapse, so that a load at the edge does not swing.
 */

/** 0: nothing; 1: packing at half its rate; 2: nothing new is packed; 3: plain CUDA. */
export type Level = 0 | 1 | 2 | 3;

/** Milliseconds. */
export interface RailSettings {
  /** How long the limit is broken before the next step up. */
  readonly escalate: number;
  /** How long there is calm before a step down, at first. */
  readonly release: number;
  readonly mostRelease: number;
}

/** `broken` is over the limit, `calm` well under it; neither: just under, where nothing moves. */
export type Strain = "broken" | "between" | "calm";

/** So many pauses of calm at level 0 and the next time is as the first. */
const forgetFactor = 4;

export class Rail {
  readonly #settings: RailSettings;
  #level: Level = 0;
  #pause: number;
  #since: { strain: Strain; at: number } = { strain: "calm", at: Number.NEGATIVE_INFINITY };
  #steppedDownAt = Number.NEGATIVE_INFINITY;

  constructor(settings: RailSettings) {
    this.#settings = settings;
    this.#pause = settings.release;
  }

  /** What holds after this look. @param now milliseconds, never less than before. */
  look(strain: Strain, now: number): Level {
    if (strain !== this.#since.strain) this.#since = { strain, at: now };
    if (strain === "broken") this.#up(now);
    if (strain === "calm") this.#down(now);
    return this.#level;
  }

  #up(now: number): void {
    const { escalate, mostRelease } = this.#settings;
    if (this.#level > 0 && now - this.#since.at < escalate) return;
    if (this.#level === 3) return;
    if (now - this.#steppedDownAt < this.#pause) this.#pause = Math.min(this.#pause * 2, mostRelease);
    this.#level = next(this.#level);
    this.#since = { strain: "broken", at: now };
  }

  #down(now: number): void {
    const calm = now - this.#since.at;
    if (this.#level === 0) {
      if (calm >= this.#pause * forgetFactor) this.#pause = this.#settings.release;
      return;
    }
    if (calm < this.#pause) return;
    this.#level = before(this.#level);
    this.#steppedDownAt = now;
    this.#since = { strain: "calm", at: now };
  }
}

function next(level: Level): Level {
  return Math.min(3, level + 1) as Level;
}

function before(level: Level): Level {
  return Math.max(0, level - 1) as Level;
}
