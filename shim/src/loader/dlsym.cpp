// The first door: dlsym.
//
// The exported dlsym is assembly so that a look-up which is none of ours reaches the C library with the caller's return
// address (RTLD_NEXT depends on it). It asks loretoken_dlsym for the answer to names of the driver; for all others it
// jumps on. Nothing is initialised here and no lock is taken: the driver library may call dlsym while it loads.
#include <dlfcn.h>
#include <link.h>

#include <cstring>

#include "base/depth.h"
#include "base/real_dl.h"
#include "loader/lookup.h"

namespace loretoken::loader {
namespace {

bool upper(char c) {
  return c >= 'A' && c <= 'Z';
}

// cu[A-Z]* and nvml[A-Z]*: never cudnn…, cublas…, cuda….
bool of_the_driver(const char* name) {
  if (name == nullptr) return false;
  if (name[0] == 'c' && name[1] == 'u') return upper(name[2]);
  return std::strncmp(name, "nvml", 4) == 0 && upper(name[4]);
}

const void* object_of(const void* address) {
  Dl_info info{};
  return dladdr(address, &info) != 0 ? info.dli_fbase : nullptr;
}

bool is_driver_library(const void* address) {
  Dl_info info{};
  if (dladdr(address, &info) == 0 || info.dli_fname == nullptr) return false;
  const char* slash = std::strrchr(info.dli_fname, '/');
  const char* file = slash == nullptr ? info.dli_fname : slash + 1;
  return std::strncmp(file, "libcuda.so", 10) == 0 || std::strncmp(file, "libnvidia-ml.so", 15) == 0;
}

struct Answer {
  void* value;
  DlsymFunction go_on;  // not nullptr: jump there with the original arguments
};

}  // namespace

// Called by the exported dlsym with its arguments and its caller's return address.
extern "C" __attribute__((visibility("hidden"), used)) Answer loretoken_dlsym(void* handle, const char* name,
                                                                              const void* caller) {
  const DlsymFunction real = real_dlsym();
  if (InShim::inside() || !of_the_driver(name)) return {nullptr, real};
  void* hook = hook_by_name(name);
  if (hook == nullptr) return {nullptr, real};
  void* found = real(handle, name);
  if (found == nullptr || found == hook) return {found, nullptr};
  // "The next one" is asked for by another interposer. Seen from here the next may be the caller itself; the C library
  // knows better where the caller stands.
  if (handle == RTLD_NEXT && object_of(caller) == object_of(found)) return {nullptr, real};
  // Only the driver's own function is replaced, and never for the driver itself, which looks itself up.
  if (!is_driver_library(found) || object_of(caller) == object_of(found)) return {found, nullptr};
  return {hook, nullptr};
}

#if defined(__x86_64__)
__asm__(
    ".pushsection .text\n\t.p2align 4\n\t.globl dlsym\n\t.type dlsym, @function\n"
    "dlsym:\n\t"
    "endbr64\n\t"
    "pushq %rdi\n\t"
    "pushq %rsi\n\t"
    "subq $8, %rsp\n\t"
    "movq 24(%rsp), %rdx\n\t"
    "call loretoken_dlsym\n\t"
    "addq $8, %rsp\n\t"
    "popq %rsi\n\t"
    "popq %rdi\n\t"
    "testq %rdx, %rdx\n\t"
    "jne 1f\n\t"
    "ret\n"
    "1:\n\t"
    "jmp *%rdx\n\t"
    ".size dlsym, . - dlsym\n\t.popsection\n");
#elif defined(__aarch64__)
__asm__(
    ".pushsection .text\n\t.p2align 4\n\t.globl dlsym\n\t.type dlsym, %function\n"
    "dlsym:\n\t"
    "hint #34\n\t"
    "stp x29, x30, [sp, #-32]!\n\t"
    "mov x29, sp\n\t"
    "stp x0, x1, [sp, #16]\n\t"
    "mov x2, x30\n\t"
    "bl loretoken_dlsym\n\t"
    "cbnz x1, 1f\n\t"
    "ldp x29, x30, [sp], #32\n\t"
    "ret\n"
    "1:\n\t"
    "mov x16, x1\n\t"
    "ldp x0, x1, [sp, #16]\n\t"
    "ldp x29, x30, [sp], #32\n\t"
    "br x16\n\t"
    ".size dlsym, . - dlsym\n\t.popsection\n");
#endif

}  // namespace loretoken::loader
