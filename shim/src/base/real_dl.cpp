#include "base/real_dl.h"

#include <dlfcn.h>

#include <atomic>

namespace loretoken {
namespace {

std::atomic<DlsymFunction> g_dlsym{nullptr};

// Symbol versions under which glibc has offered dlsym: since 2.34 in libc, before in libdl by architecture.
constexpr const char* kVersions[] = {"GLIBC_2.34", "GLIBC_2.17", "GLIBC_2.2.5"};

}  // namespace

DlsymFunction real_dlsym() {
  DlsymFunction found = g_dlsym.load(std::memory_order_relaxed);
  if (found != nullptr) return found;
  for (const char* version : kVersions) {
    found = reinterpret_cast<DlsymFunction>(dlvsym(RTLD_NEXT, "dlsym", version));
    if (found != nullptr) break;
  }
  g_dlsym.store(found, std::memory_order_relaxed);
  return found;
}

}  // namespace loretoken
