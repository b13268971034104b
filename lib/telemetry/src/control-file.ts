/**
 * The control file of one container: one writer (the agent), many readers (each process of the container maps it
 * read-only). It is bind-mounted as a file, so once a container has it the inode must stay: it is written in place, and
 * never replaced.
 *
 * The write is a seqlock: `sequence` odd, then the body, then `sequence` even. A reader reads the sequence (again while it
 * is odd), copies the body, reads the sequence again and starts over if it changed.
 *
 * Memory order. Each step is a pwrite of its own on one descriptor, into the page that readers have mapped. Between two of
 * them the kernel leaves and takes the inode's lock, a release and an acquire, so that no processor sees a later step's bytes
 * without the earlier ones; on x86-64 stores are ordered anyway, also those of two string instructions. A step's own
 * bytes may become visible in any order. For the body that is what the odd sequence is for. For the sequence it is
 * harmless: even to odd changes one bit; odd to even may change several bytes, and a reader that meets a mixture
 * finds a body that is already whole, whatever the second look says.
 *
 * A writer that dies between the steps leaves the sequence odd. Readers then keep the block they had and try again later;
 * whoever opens the file next to write completes it.
 */
import { closeSync, fchmodSync, linkSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { ABI_MAJOR, CONTROL_MAGIC, type Control, control } from "./abi.ts";
import { type ControlBlock, ControlError, type ControlInput, decodeControl, encodeControl } from "./control-block.ts";

const sequenceAt = control.offsets.get("sequence") ?? 0;
const heartbeatAt = control.offsets.get("heartbeat_ns") ?? 0;
const bodyAt = sequenceAt + 8;
/** As often a reader looks again while a write is under way; a write takes a few microseconds. */
const attempts = 1000;

export class ControlFile {
  readonly path: string;
  readonly #file: number;
  #sequence: bigint;

  private constructor(path: string, file: number, sequence: bigint) {
    this.path = path;
    this.#file = file;
    this.#sequence = sequence;
  }

  /**
   * Makes the file, whole before it can be seen under its name.
   * @throws {ControlError} if it is there already: a container may have it mapped, so it is for `open`.
   * @throws {ZodError} if the block is not valid; then nothing was made.
   */
  static create(path: string, block: ControlInput): ControlFile {
    const content = encodeControl(block, 2n);
    const temporary = `${path}.new`;
    rmSync(temporary, { force: true });
    const file = openSync(temporary, "wx+", 0o644);
    try {
      fchmodSync(file, 0o644); // whatever the umask: programs that are not root read it
      writeAll(file, content, 0);
      linkSync(temporary, path);
    } catch (error) {
      closeSync(file);
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      throw new ControlError(`${path} is there already: open it to write, or remove it if no container has it`);
    } finally {
      rmSync(temporary, { force: true });
    }
    return new ControlFile(path, file, 2n);
  }

  /**
   * Opens a file to go on writing, as after a restart of the agent. A half-done write of a writer that died is completed
   * by the first `write`.
   * @throws what opening it throws, and {ControlError} if it is no control file of this layout.
   */
  static open(path: string): ControlFile {
    const file = openSync(path, "r+");
    try {
      return new ControlFile(path, file, readHead(file, path).sequence);
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  /** Three system calls. @throws {ZodError} if the block is not valid; then the file is as it was. */
  write(block: ControlInput): void {
    const odd = this.#sequence | 1n;
    const content = encodeControl(block, odd);
    writeAll(this.#file, content.subarray(sequenceAt, bodyAt), sequenceAt);
    writeAll(this.#file, content.subarray(bodyAt), bodyAt);
    this.#sequence = BigInt.asUintN(64, odd + 1n);
    writeAll(this.#file, encodeWord(this.#sequence), sequenceAt);
  }

  /**
   * A sign of life alone, for a block that is otherwise as it was: three system calls of 8 bytes.
   * @param heartbeat CLOCK_MONOTONIC in nanoseconds
   */
  beat(heartbeat: bigint): void {
    writeAll(this.#file, encodeWord(this.#sequence | 1n), sequenceAt);
    writeAll(this.#file, encodeWord(heartbeat), heartbeatAt);
    this.#sequence = BigInt.asUintN(64, (this.#sequence | 1n) + 1n);
    writeAll(this.#file, encodeWord(this.#sequence), sequenceAt);
  }

  /** What the file says. @throws {ControlError} as `readControl`. */
  read(): ControlBlock {
    return decodeNamed(readWhole(this.#file, this.path), this.path);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/**
 * The block a control file holds, never a mixture of two.
 * @throws what opening it throws; {ControlError} if it is no control file, or if its writer stopped in the middle of a
 * write: after a bounded number of looks.
 */
export function readControl(path: string): ControlBlock {
  const file = openSync(path, "r");
  try {
    return decodeNamed(readWhole(file, path), path);
  } finally {
    closeSync(file);
  }
}

function decodeNamed(fields: Control, path: string): ControlBlock {
  try {
    return decodeControl(fields);
  } catch (error) {
    if (error instanceof ControlError) throw new ControlError(`${path} is damaged: ${error.message}`);
    throw error;
  }
}

function readWhole(file: number, path: string): Control {
  for (let attempt = 0; attempt < attempts; ++attempt) {
    const { sequence } = readHead(file, path);
    if (sequence & 1n) continue;
    const body = readBytes(file, 0, control.size, path);
    if (readSequence(file, path) === sequence) return control.read(viewOf(body), 0);
  }
  throw new ControlError(
    `${path} is in the middle of a write that does not end: its writer died; the agent repairs it`,
  );
}

function readHead(file: number, path: string): { sequence: bigint } {
  const head = viewOf(readBytes(file, 0, bodyAt, path));
  const [magic, major] = [head.getBigUint64(0, true), head.getUint32(8, true)];
  if (magic !== CONTROL_MAGIC) {
    throw new ControlError(`${path} is no control file: it starts with 0x${magic.toString(16)}`);
  }
  if (major !== ABI_MAJOR) {
    throw new ControlError(
      `${path} has layout version ${major}, this program writes ${ABI_MAJOR}: use the release of it`,
    );
  }
  return { sequence: head.getBigUint64(sequenceAt, true) };
}

function readSequence(file: number, path: string): bigint {
  return viewOf(readBytes(file, sequenceAt, 8, path)).getBigUint64(0, true);
}

function readBytes(file: number, at: number, length: number, path: string): Uint8Array {
  const target = new Uint8Array(length);
  let have = 0;
  while (have < length) {
    const got = readSync(file, target, have, length - have, at + have);
    if (got === 0)
      throw new ControlError(`${path} is cut short: it ends at byte ${at + have}, ${at + length} are needed`);
    have += got;
  }
  return target;
}

function writeAll(file: number, data: Uint8Array, at: number): void {
  let done = 0;
  while (done < data.length) done += writeSync(file, data, done, data.length - done, at + done);
}

function encodeWord(sequence: bigint): Uint8Array {
  const target = new Uint8Array(8);
  viewOf(target).setBigUint64(0, sequence, true);
  return target;
}

function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}
