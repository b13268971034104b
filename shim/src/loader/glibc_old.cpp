// Loads next to any glibc from 2.28 on, whatever the library was built with.
//
// Functions whose symbol version is newer only because they moved from libpthread and libdl into libc (2.34) are bound
// to their old version: a hidden name here takes the references of our code and of the static C++ runtime and jumps to
// the old one. What 2.28 does not have at all is written here. A test checks the result.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#define LORETOKEN_OLD_VERSION "GLIBC_2.2.5"
#define LORETOKEN_OLD_JUMP(name) "endbr64\n\tjmp *loretoken_old_" #name "@GOTPCREL(%rip)\n"
#else
#define LORETOKEN_OLD_VERSION "GLIBC_2.17"
#define LORETOKEN_OLD_JUMP(name) "hint #34\n\tb loretoken_old_" #name "\n"
#endif

#define LORETOKEN_BIND_OLD(name)                                                                          \
  __asm__(".symver loretoken_old_" #name ", " #name "@" LORETOKEN_OLD_VERSION                             \
          "\n\t.pushsection .text\n\t.p2align 4\n\t.globl " #name "\n\t.hidden " #name "\n\t.type " #name \
          ", %function\n" #name ":\n\t" LORETOKEN_OLD_JUMP(name) "\t.size " #name ", . - " #name "\n\t.popsection\n");

LORETOKEN_BIND_OLD(__pthread_key_create)
LORETOKEN_BIND_OLD(dladdr)
LORETOKEN_BIND_OLD(dlerror)
LORETOKEN_BIND_OLD(dlopen)
LORETOKEN_BIND_OLD(dlvsym)
LORETOKEN_BIND_OLD(pthread_create)
LORETOKEN_BIND_OLD(pthread_detach)
LORETOKEN_BIND_OLD(pthread_getspecific)
LORETOKEN_BIND_OLD(pthread_join)
LORETOKEN_BIND_OLD(pthread_key_create)
LORETOKEN_BIND_OLD(pthread_key_delete)
LORETOKEN_BIND_OLD(pthread_once)
LORETOKEN_BIND_OLD(pthread_rwlock_rdlock)
LORETOKEN_BIND_OLD(pthread_rwlock_unlock)
LORETOKEN_BIND_OLD(pthread_rwlock_wrlock)
LORETOKEN_BIND_OLD(pthread_setspecific)
LORETOKEN_BIND_OLD(pthread_sigmask)

extern "C" {

#define LORETOKEN_HIDDEN __attribute__((visibility("hidden"), used))

// 2.32. Zero: shared counts of the C++ runtime stay atomic.
LORETOKEN_HIDDEN char __libc_single_threaded = 0;

// 2.33.
LORETOKEN_HIDDEN int fstat(int file, struct stat* status) noexcept {
#if defined(__x86_64__)
  return static_cast<int>(syscall(SYS_fstat, file, status));
#else
  return static_cast<int>(syscall(SYS_newfstatat, file, "", status, AT_EMPTY_PATH));
#endif
}

// 2.30. The monotonic deadline is turned into one of the condition's own clock; waiters look at their condition again.
LORETOKEN_HIDDEN int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                                            const timespec* until) {
  if (clock == CLOCK_REALTIME) return pthread_cond_timedwait(condition, mutex, until);
  timespec theirs{};
  timespec real{};
  clock_gettime(clock, &theirs);
  clock_gettime(CLOCK_REALTIME, &real);
  constexpr int64_t kSecond = 1'000'000'000;
  const int64_t left = (until->tv_sec - theirs.tv_sec) * kSecond + until->tv_nsec - theirs.tv_nsec;
  const int64_t deadline = real.tv_sec * kSecond + real.tv_nsec + (left > 0 ? left : 0);
  const timespec converted{deadline / kSecond, deadline % kSecond};
  return pthread_cond_timedwait(condition, mutex, &converted);
}

// 2.36, for std::random_device.
LORETOKEN_HIDDEN uint32_t arc4random() noexcept {
  uint32_t value = 0;
  while (getrandom(&value, sizeof value, 0) != sizeof value) {
  }
  return value;
}

#ifdef DLFO_STRUCT_HAS_EH_DBASE
// 2.35, for the unwinder: the loaded object that holds `pc`. Only while an exception is thrown.
struct LoretokenFind {
  uintptr_t pc;
  dl_find_object* result;
};

static int loretoken_visit(dl_phdr_info* info, size_t, void* data) {
  auto* find = static_cast<LoretokenFind*>(data);
  uintptr_t low = UINTPTR_MAX;
  uintptr_t high = 0;
  void* frames = nullptr;
  bool holds = false;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = info->dlpi_phdr[i];
    const uintptr_t start = info->dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_GNU_EH_FRAME) frames = reinterpret_cast<void*>(start);
    if (part.p_type != PT_LOAD) continue;
    holds = holds || (find->pc >= start && find->pc < start + part.p_memsz);
    low = start < low ? start : low;
    high = start + part.p_memsz > high ? start + part.p_memsz : high;
  }
  if (!holds || frames == nullptr) return 0;
  memset(find->result, 0, sizeof *find->result);
  find->result->dlfo_map_start = reinterpret_cast<void*>(low);
  find->result->dlfo_map_end = reinterpret_cast<void*>(high);
  find->result->dlfo_eh_frame = frames;
  return 1;
}

LORETOKEN_HIDDEN int _dl_find_object(void* pc, dl_find_object* result) noexcept {
  LoretokenFind find{reinterpret_cast<uintptr_t>(pc), result};
  return dl_iterate_phdr(loretoken_visit, &find) == 1 ? 0 : -1;
}
#endif

}  // extern "C"
