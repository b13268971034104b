/**
 * Reads a control file as a program does, through a shared mapping: control-reader.ts <file> <seconds>. For so long, and up
 * to ten times as long on a busy machine, until it has met enough to tell.
 * The writer puts one number into many fields; prints how many copies were whole, how many mixtures the sequence
 * exposed, and how many it did not.
 */
import { openSync } from "node:fs";
import koffi from "koffi";
import { control, controlDevice } from "../abi.ts";

const [path = "", seconds = "1"] = process.argv.slice(2);
const libc = koffi.load("libc.so.6");
const mmap = libc.func("void *mmap(void *address, size_t length, int protection, int flags, int file, long offset)");
const mapped = mmap(null, control.size, 1, 1, openSync(path, "r"), 0);
const words = new BigUint64Array(koffi.view(mapped, control.size));
const word = (field: string): number => (control.offsets.get(field) ?? Number.NaN) / 8;
const sequence = word("sequence");
const watched = [
  word("policy_generation"),
  word("host_limit"),
  word("max_power_milliwatts"),
  ...Array.from({ length: 16 }, (_, index) => word("devices") + (index * controlDevice.size) / 8 + 2),
];

const counts = { whole: 0, exposed: 0, torn: 0, values: 0 };
let last = 0n;
const start = performance.now();
const enough = (): boolean => {
  const elapsed = (performance.now() - start) / (1000 * Number(seconds));
  return elapsed > 10 || (elapsed > 1 && counts.exposed > 0 && counts.values > 100);
};
process.stdout.write("ready\n");
while (!enough()) {
  const before = Atomics.load(words, sequence);
  const first = words[watched[0] ?? 0] ?? 0n;
  const equal = watched.every((index) => words[index] === first);
  const unchanged = (before & 1n) === 0n && Atomics.load(words, sequence) === before;
  if (!unchanged) counts.exposed += equal ? 0 : 1;
  else if (!equal) counts.torn += 1;
  else {
    counts.whole += 1;
    if (first !== last) counts.values += 1;
    last = first;
  }
}
process.stdout.write(`${JSON.stringify(counts)}\n`);
