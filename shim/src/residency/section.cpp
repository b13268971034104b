#include "residency/section.h"

#include <sched.h>
#include <unistd.h>

namespace loretoken {
namespace {

std::atomic<Reader*> g_readers{nullptr};

// Readers are never freed: a thread that ends leaves its own for the next thread.
Reader* claim_reader() {
  for (Reader* r = g_readers.load(std::memory_order_acquire); r != nullptr;
       r = r->next.load(std::memory_order_acquire)) {
    bool expected = false;
    if (r->in_use.compare_exchange_strong(expected, true, std::memory_order_acq_rel)) return r;
  }
  auto* fresh = new Reader;
  fresh->in_use.store(true, std::memory_order_relaxed);
  Reader* head = g_readers.load(std::memory_order_relaxed);
  do {
    fresh->next.store(head, std::memory_order_relaxed);
  } while (!g_readers.compare_exchange_weak(head, fresh, std::memory_order_acq_rel));
  return fresh;
}

struct ThreadReader {
  Reader* reader = nullptr;
  uint32_t depth = 0;
  ~ThreadReader() {
    if (reader != nullptr) reader->in_use.store(false, std::memory_order_release);
    reader = nullptr;
  }
};
thread_local ThreadReader t_reader;

}  // namespace

Section::Section() {
  if (t_reader.reader == nullptr) t_reader.reader = claim_reader();
  reader_ = t_reader.reader;
  if (t_reader.depth++ == 0) {
    // A read-modify-write: on x86 the full fence that keeps the section's loads behind it.
    reader_->epoch.exchange(reader_->epoch.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
  }
}

void Section::leave() {
  if (reader_ == nullptr) return;
  if (--t_reader.depth == 0) {
    reader_->epoch.store(reader_->epoch.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  reader_ = nullptr;
}

bool wait_for_readers(FunctionRef<bool()> go_on) {
  for (Reader* r = g_readers.load(std::memory_order_acquire); r != nullptr;
       r = r->next.load(std::memory_order_acquire)) {
    const uint64_t seen = r->epoch.load(std::memory_order_seq_cst);
    if ((seen & 1) == 0) continue;
    for (int looks = 0; r->epoch.load(std::memory_order_acquire) == seen; ++looks) {
      if (looks < 64) {
        sched_yield();
        continue;
      }
      usleep(50);
      if (!go_on()) return false;
    }
  }
  return true;
}

}  // namespace loretoken
