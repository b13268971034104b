/** Cuts a stream of bytes into lines. Each byte is copied at most once, however many pieces a line comes in. */
export class LineSplitter {
  readonly #most: number;
  #pieces: Buffer[] = [];
  #size = 0;

  /** @param most bytes of one line */
  constructor(most: number) {
    this.#most = most;
  }

  /** Bytes of a line that has not ended yet. */
  get pending(): number {
    return this.#size;
  }

  /**
   * @returns the lines that ended in this piece, without their ends; empty ones are left out
   * @throws {RangeError} at a line longer than allowed
   */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      this.#keep(chunk.subarray(start, end));
      start = end + 1;
      if (this.#size > 0) lines.push(this.#take());
    }
    this.#keep(chunk.subarray(start));
    return lines;
  }

  #keep(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#size += piece.length;
    if (this.#size > this.#most) throw new RangeError(`a line is longer than ${this.#most} bytes`);
    this.#pieces.push(piece);
  }

  #take(): string {
    const line = Buffer.concat(this.#pieces).toString("utf8");
    this.#pieces = [];
    this.#size = 0;
    return line;
  }
}

const newline = 0x0a;
