/** A program that holds memory of simulated card 1 until its input ends: node holder.ts <library> <bytes>. */
import koffi from "koffi";

const [, , library = "", bytes = "0"] = process.argv;
const driver = koffi.load(library);
const u64 = koffi.out(koffi.pointer("uint64_t"));
const cuInit = driver.func("cuInit", "int", ["uint32_t"]);
const retain = driver.func("cuDevicePrimaryCtxRetain", "int", [koffi.out(koffi.pointer("void *")), "int"]);
const setCurrent = driver.func("cuCtxSetCurrent", "int", ["void *"]);
const allocate = driver.func("cuMemAlloc_v2", "int", [u64, "uint64_t"]);

const context = [null];
const codes = [cuInit(0), retain(context, 1), setCurrent(context[0]), allocate([0], Number(bytes))];
process.stdout.write(codes.every((code) => code === 0) ? "holding\n" : `failed: ${codes.join(" ")}\n`);
process.stdin.resume().on("end", () => process.exit(0));
