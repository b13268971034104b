#include "reach/scanner.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/clock.h"
#include "base/log.h"
#include "driver/driver.h"
#include "loretoken/codec.h"
#include "memory/page_table.h"
#include "memory/physical.h"
#include "report/counters.h"

namespace loretoken {
namespace {

constexpr uint64_t kPlacePatienceNs = 250'000'000;
constexpr uint64_t kListBytes = sizeof(ScanList) + uint64_t{Scanner::kListRecords} * sizeof(ScanRecord);

uint64_t table_bytes() {
  return (Codec::scan_table_bytes(Scanner::kTableSlots) + 255) / 256 * 256;
}

ScanRange to_range(const HolderRange& holder, uint32_t index) {
  const uint64_t skew = (4 - holder.base % 4) % 4;
  return {holder.base + skew, holder.bytes < skew ? 0 : (holder.bytes - skew) / 4 * 4, index, 0};
}

}  // namespace

uint64_t Scanner::device_bytes() const {
  return table_bytes() * count_;
}

Scanner::Scanner(DeviceRuntime& runtime, Edges& edges, ScanSequence& sequence)
    : rt_(runtime),
      edges_(edges),
      sequence_(sequence),
      count_(runtime.limit >= uint64_t{4} << 30 ? kSlots : kSlots / 4) {
  const Driver& d = driver();
  const ContextScope scope(rt_.context);
  void* host = nullptr;
  bool good = d.cuMemAlloc_v2(&device_, device_bytes()) == CUDA_SUCCESS &&
              d.cuMemHostAlloc(&host, kListBytes * count_, CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_PORTABLE) ==
                  CUDA_SUCCESS &&
              d.cuMemHostGetDevicePointer_v2(&host_device_, host, 0) == CUDA_SUCCESS &&
              d.cuStreamCreate(&own_stream_, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS;
  for (Slot& slot : slots_) {
    slot.epoch = kScanEpochs;  // the table is zeroed before its first use
    good = good && d.cuEventCreate(&slot.event, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS;
  }
  if (good) {
    host_ = static_cast<unsigned char*>(host);
    std::memset(host_, 0, kListBytes * count_);
    if (rt_.physical != nullptr) rt_.physical->charge(device_bytes());
  }
}

unsigned char* Scanner::list(uint32_t index) const {
  return host_ + kListBytes * index;
}

CUdeviceptr Scanner::table(uint32_t index) const {
  return device_ + table_bytes() * index;
}

uint32_t Scanner::take() {
  for (uint32_t i = 0; i < count_; ++i) {
    if (!slots_[i].busy) {
      slots_[i].busy = true;
      slots_[i].queued = false;
      open_.fetch_add(1, std::memory_order_relaxed);
      return i;
    }
  }
  return kSlots;
}

void ScanPlace::give_back() {
  if (scanner_ == nullptr || index_ == Scanner::kSlots) return;
  {
    std::lock_guard lock(scanner_->mutex_);
    scanner_->slots_[index_].busy = false;
  }
  scanner_->open_.fetch_sub(1, std::memory_order_release);
}

ScanPlace& ScanPlace::operator=(ScanPlace&& other) noexcept {
  if (this != &other) {
    give_back();
    scanner_ = std::exchange(other.scanner_, nullptr);
    index_ = other.index_;
  }
  return *this;
}

ScanPlace Scanner::reserve() {
  uint32_t index = kSlots;
  const uint64_t until = now_ns() + kPlacePatienceNs;
  while (ready() && !rt_.closed.load(std::memory_order_acquire)) {
    {
      std::lock_guard lock(mutex_);
      index = take();
    }
    if (index != kSlots || now_ns() > until) break;
    poll();
    usleep(10);
  }
  return {this, index};
}

void Scanner::queue(ScanRequest request, StreamSlot& slot, ScanPlace place) {
  place.scanner_ = nullptr;  // the place is the scan's from here on
  const uint32_t index = place.index_;
  request.tickets.clear();
  request.queued_at = reach_clock();
  for (const HolderRange& holder : request.holders) {
    request.tickets.push_back(edges_.scan_queued(holder, request.of));
  }
  if (index == kSlots) {
    apply(request, {}, true);
    return;
  }
  Slot& mine = slots_[index];
  mine.request = std::move(request);
  counters(rt_.ordinal).scans.fetch_add(1, std::memory_order_relaxed);
  const CUresult result = launch(index, slot);
  std::unique_lock lock(mutex_);
  mine.order = next_order_++;
  mine.queued = true;
  if (result == CUDA_SUCCESS) return;
  log_debug("a pointer scan could not be queued (error %d)", static_cast<int>(result));
  ScanRequest failed = std::move(mine.request);
  mine.epoch = kScanEpochs;  // the table is zeroed before its next use
  mine.busy = false;
  lock.unlock();
  apply(failed, {}, true);
  open_.fetch_sub(1, std::memory_order_release);
}

CUresult Scanner::launch(uint32_t index, StreamSlot& slot) {
  Slot& mine = slots_[index];
  const Driver& d = driver();
  RelaxedCapture relaxed;
  CUstream stream = slot.stream;
  const bool foreign_context = slot.context != rt_.context;
  ContextScope scope(rt_.context);
  if (foreign_context) {
    CUevent behind = nullptr;
    // The launching context's stream cannot take our kernels: ours runs behind it.
    {
      ContextScope theirs(slot.context);
      CUresult result = d.cuEventCreate(&behind, CU_EVENT_DISABLE_TIMING);
      if (result == CUDA_SUCCESS) result = d.cuEventRecord(behind, slot.stream);
      if (result != CUDA_SUCCESS) return result;
    }
    stream = own_stream_;
    const CUresult result = d.cuStreamWaitEvent(stream, behind, 0);
    d.cuEventDestroy_v2(behind);
    if (result != CUDA_SUCCESS) return result;
  }
  auto* header = reinterpret_cast<ScanList*>(list(index));
  std::atomic_ref<uint32_t>(header->done).store(0, std::memory_order_release);
  if (++mine.epoch > kScanEpochs) {
    mine.epoch = 1;
    const CUresult result = d.cuMemsetD8Async(table(index), 0, table_bytes(), stream);
    if (result != CUDA_SUCCESS) return result;
  }
  std::vector<ScanRange> ranges;
  for (const HolderRange& part : mine.request.parts.empty() ? mine.request.holders : mine.request.parts) {
    ranges.push_back(to_range(part, static_cast<uint32_t>(ranges.size())));
  }
  const uint64_t base = window().base.load(std::memory_order_relaxed);
  const ScanWindow here = {base, base + window().bytes.load(std::memory_order_acquire) - 1};
  ScanJob job{};
  job.ranges = ranges;
  job.windows = {&here, 1};
  job.table = table(index);
  job.table_slots = kTableSlots;
  job.epoch = mine.epoch;
  job.list = host_device_ + kListBytes * index;
  job.list_capacity = kListRecords;
  CUresult result = rt_.codec->scan(stream, job);
  if (result == CUDA_SUCCESS) result = d.cuEventRecord(mine.event, stream);
  // The next operation of the program's stream must not free under a scan on ours.
  if (result == CUDA_SUCCESS && foreign_context) {
    ContextScope theirs(slot.context);
    result = d.cuStreamWaitEvent(slot.stream, mine.event, 0);
  }
  return result;
}

void Scanner::poll() {
  if (open_.load(std::memory_order_acquire) == 0) return;
  RelaxedCapture relaxed;
  std::lock_guard reporting(reporting_);
  struct Done {
    uint64_t order;
    ScanRequest request;
    std::vector<uint64_t> records;
    bool failed;
  };
  std::vector<Done> finished;
  {
    std::lock_guard lock(mutex_);
    for (uint32_t i = 0; i < count_; ++i) {
      Slot& slot = slots_[i];
      if (!slot.busy || !slot.queued) continue;
      if (rt_.closed.load(std::memory_order_acquire)) {  // lists and events went with the context
        finished.push_back({slot.order, std::move(slot.request), {}, true});
        slot.busy = false;
        continue;
      }
      auto* header = reinterpret_cast<ScanList*>(list(i));
      const std::atomic_ref<uint32_t> done(header->done);
      bool arrived = done.load(std::memory_order_acquire) != 0;
      if (!arrived) {
        if (++slot.polls % 64 != 0) continue;
        const CUresult state = driver().cuEventQuery(slot.event);
        if (state == CUDA_ERROR_NOT_READY) continue;
        arrived = done.load(std::memory_order_acquire) != 0;
      }
      Done one{slot.order, std::move(slot.request), {}, !arrived || header->overflow != 0};
      const auto* records = reinterpret_cast<const ScanRecord*>(header + 1);
      for (uint32_t r = 0; arrived && r < std::min(header->count, kListRecords); ++r) {
        one.records.push_back(uint64_t{records[r].index} << 32 | records[r].page);
      }
      finished.push_back(std::move(one));
      slot.busy = false;
      slot.polls = 0;
    }
  }
  std::sort(finished.begin(), finished.end(), [](const Done& a, const Done& b) { return a.order < b.order; });
  for (Done& one : finished) {
    std::sort(one.records.begin(), one.records.end());
    apply(one.request, one.records, one.failed);
    // Not before: who finds none open may rely on every report that has come.
    open_.fetch_sub(1, std::memory_order_release);
  }
}

// `records` sorted: index << 32 | page.
void Scanner::apply(const ScanRequest& request, const std::vector<uint64_t>& records, bool failed) {
  FunctionTable::Found found;
  uint32_t false_alarms = 0;
  auto at = records.begin();
  for (uint32_t i = 0; i < request.holders.size(); ++i) {
    std::vector<uint32_t> pages;
    for (; at != records.end() && *at >> 32 == i; ++at) pages.push_back(static_cast<uint32_t>(*at));
    const Edges::Report report =
        edges_.scan_reported(request.holders[i], request.tickets[i], pages, !failed, request.of, request.queued_at);
    found.pointers |= report.found;
    found.fresh |= report.found_new;
    found.not_read |= std::any_of(report.fresh.begin(), report.fresh.end(), [&](uint32_t page) {
      const uint64_t at = uint64_t{page} * kPageBytes;
      const bool named = std::any_of(request.named.begin(), request.named.end(), [&](const HolderRange& range) {
        return at < range.base + range.bytes && range.base < at + kPageBytes;
      });
      return named || !std::binary_search(request.readable.begin(), request.readable.end(), page);
    });
    false_alarms += report.false_alarms;
  }
  Counters& count = counters(rt_.ordinal);
  count.false_alarms.fetch_add(false_alarms, std::memory_order_relaxed);
  count.edges.store(edges_.learned(), std::memory_order_relaxed);
  count.edges_live.store(edges_.live(), std::memory_order_relaxed);
  // A scan that could not be made says nothing of who was scanned.
  if (request.behaviour != nullptr && failed && records.empty()) {
    request.behaviour->scans_queued.fetch_sub(1, std::memory_order_relaxed);
  } else if (request.behaviour != nullptr) {
    const FunctionClass before = request.behaviour->type.load(std::memory_order_relaxed);
    if (FunctionTable::scanned(*request.behaviour, found) && request.of == ScanOf::kWrites) {
      count.kernels_classed.fetch_add(1, std::memory_order_relaxed);
    }
    if (request.of == ScanOf::kWrites && before != FunctionClass::kStorer &&
        request.behaviour->type.load(std::memory_order_relaxed) == FunctionClass::kStorer) {
      count.pointer_kernels.fetch_add(1, std::memory_order_relaxed);
    }
  }
  if (request.number != 0) sequence_.done(request.number);
}

}  // namespace loretoken
