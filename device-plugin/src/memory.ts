/** Memory that the process does not need any more. */
import koffi from "koffi";

/**
 * Gives the system back what malloc keeps for later: V8 compiles the program in malloc's memory, 6 MiB of it at a start, and what
 * lies between pieces in use stays with the process otherwise. About a millisecond.
 * @returns false where the C library is another than glibc: nothing is done then.
 */
export function returnFreeMemory(): boolean {
  try {
    koffi.load("libc.so.6").func("malloc_trim", "int", ["size_t"])(0);
    return true;
  } catch {
    return false;
  }
}
