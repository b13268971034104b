/** How far a build is, told at most every ten seconds: builds of minutes must not look hung. */
export type Log = (message: string) => void;

const intervalMs = 10_000;

export class Progress {
  readonly #name: string;
  readonly #total: number;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #start: number;
  #told: number;
  #compiled = 0;

  /** @param total packages of the build; those that are cached already are never reported as compiled */
  constructor(name: string, total: number, log: Log, now: () => number = Date.now) {
    this.#name = name;
    this.#total = total;
    this.#log = log;
    this.#now = now;
    this.#start = this.#told = now();
  }

  /** A line of `go build -v`: a package's name when it is done, anything else is not counted. */
  line(text: string): void {
    if (!/^[\w./~-]+$/.test(text)) return;
    this.#compiled++;
    if (this.#now() - this.#told < intervalMs) return;
    this.#told = this.#now();
    this.#log(`${this.#name}: ${this.#compiled} packages compiled of at most ${this.#total}, ${this.#seconds()} s`);
  }

  end(): void {
    this.#log(`${this.#name}: built in ${this.#seconds()} s`);
  }

  #seconds(): number {
    return Math.round((this.#now() - this.#start) / 1000);
  }
}
