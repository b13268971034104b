#include "reach/functions.h"

#include <algorithm>
#include <bit>

namespace loretoken {
namespace {

uint32_t hash_of(CUfunction handle) {
  return static_cast<uint32_t>((reinterpret_cast<uint64_t>(handle) * 0x9E3779B97F4A7C15u) >> 32);
}

constexpr size_t kMostParams = 4096;

// Fills the slices; false when the layout cannot be had.
template <class Query>
bool read_layout(Query&& query, std::vector<ParamSlice>* out) {
  out->clear();
  for (size_t i = 0; i < kMostParams; ++i) {
    size_t offset = 0;
    size_t size = 0;
    const CUresult result = query(i, &offset, &size);
    if (result == CUDA_ERROR_INVALID_VALUE) return true;  // one past the last parameter
    if (result != CUDA_SUCCESS) return false;
    if (size >= 8) out->push_back({static_cast<uint32_t>(i), static_cast<uint32_t>((size - 4) / 4)});
  }
  return false;
}

}  // namespace

FunctionTable::FunctionTable(FunctionQueries queries, uint64_t sample_every)
    : queries_(queries), sample_mask_(std::bit_ceil(std::max<uint64_t>(sample_every, 1)) - 1) {
  tables_.push_back(std::make_unique<Table>(4096));
  table_.store(tables_.back().get(), std::memory_order_release);
}

FunctionTable::~FunctionTable() = default;

FunctionInfo* FunctionTable::probe(const Table& table, CUfunction handle) {
  for (uint32_t h = hash_of(handle);; ++h) {
    FunctionInfo* info = table.entries[h & table.mask].load(std::memory_order_acquire);
    if (info == nullptr) return nullptr;
    if (info->handle == handle) return info;
  }
}

void FunctionTable::place(Table& table, FunctionInfo* info) {
  for (uint32_t h = hash_of(info->handle);; ++h) {
    std::atomic<FunctionInfo*>& slot = table.entries[h & table.mask];
    FunctionInfo* there = slot.load(std::memory_order_relaxed);
    if (there == nullptr || there->handle == info->handle) {
      slot.store(info, std::memory_order_release);
      return;
    }
  }
}

FunctionInfo& FunctionTable::find(CUfunction handle) {
  FunctionInfo* info = probe(*table_.load(std::memory_order_acquire), handle);
  if (info != nullptr && info->alive.load(std::memory_order_acquire)) return *info;
  std::unique_ptr<FunctionInfo> fresh = describe(handle);
  std::lock_guard lock(mutex_);
  Table* table = table_.load(std::memory_order_relaxed);
  info = probe(*table, handle);
  if (info != nullptr && info->alive.load(std::memory_order_relaxed)) return *info;
  infos_.push_back(std::move(fresh));
  if (infos_.size() * 2 > table->entries.size()) {
    tables_.push_back(std::make_unique<Table>(static_cast<uint32_t>(table->entries.size()) * 2));
    for (const std::atomic<FunctionInfo*>& slot : table->entries) {
      FunctionInfo* old = slot.load(std::memory_order_relaxed);
      if (old != nullptr) place(*tables_.back(), old);
    }
    table = tables_.back().get();
    place(*table, infos_.back().get());
    table_.store(table, std::memory_order_release);
  } else {
    place(*table, infos_.back().get());
  }
  return *infos_.back();
}

std::unique_ptr<FunctionInfo> FunctionTable::describe(CUfunction handle) const {
  auto info = std::make_unique<FunctionInfo>();
  info->handle = handle;
  const auto kernel = reinterpret_cast<CUkernel>(handle);
  const auto as_kernel = [&](size_t i, size_t* offset, size_t* size) {
    return queries_.kernel_param(kernel, i, offset, size);
  };
  const auto as_function = [&](size_t i, size_t* offset, size_t* size) {
    return queries_.function_param(handle, i, offset, size);
  };
  std::vector<ParamSlice> from_kernel;
  if (queries_.function_param != nullptr) info->has_layout = read_layout(as_function, &info->slices);
  // A CUkernel may be refused as a function, or answer as one without parameters.
  if ((!info->has_layout || info->slices.empty()) && queries_.kernel_param != nullptr &&
      read_layout(as_kernel, &from_kernel) && (!info->has_layout || !from_kernel.empty())) {
    info->slices = std::move(from_kernel);
    info->has_layout = true;
  }
  if (queries_.function_module == nullptr || queries_.function_module(&info->module, handle) != CUDA_SUCCESS) {
    info->module = nullptr;
    if (queries_.kernel_library == nullptr || queries_.kernel_library(&info->library, kernel) != CUDA_SUCCESS) {
      info->library = nullptr;
    }
  }
  return info;
}

void FunctionTable::forget(bool (*match)(const FunctionInfo&, const void*), const void* what) {
  std::lock_guard lock(mutex_);
  for (const std::unique_ptr<FunctionInfo>& info : infos_) {
    if (match(*info, what)) info->alive.store(false, std::memory_order_release);
  }
}

void FunctionTable::module_unloaded(CUmodule module) {
  forget([](const FunctionInfo& info,
            const void* what) { return info.module == what || (info.module == nullptr && info.library == nullptr); },
         module);
}

// A library's functions belong to modules that only the driver knows: all that are not plainly another library's go.
void FunctionTable::library_unloaded(CUlibrary library) {
  forget([](const FunctionInfo& info, const void* what) { return info.library == nullptr || info.library == what; },
         library);
}

Behaviour& FunctionInfo::behaviour(uint64_t places) {
  places = std::max<uint64_t>(places, 1);
  for (uint32_t i = 0; i + 1 < kBehaviours; ++i) {
    uint64_t there = behaviours[i].places.load(std::memory_order_relaxed);
    if (there == 0) behaviours[i].places.compare_exchange_strong(there, places, std::memory_order_relaxed);
    if (there == places || there == 0) return behaviours[i];
  }
  return behaviours[kBehaviours - 1];
}

bool FunctionInfo::stores() const {
  return std::any_of(std::begin(behaviours), std::end(behaviours), [](const Behaviour& behaviour) {
    return behaviour.type.load(std::memory_order_relaxed) == FunctionClass::kStorer;
  });
}

bool FunctionInfo::copies() const {
  return std::any_of(std::begin(behaviours), std::end(behaviours), [](const Behaviour& behaviour) {
    return behaviour.copies_pointers.load(std::memory_order_relaxed);
  });
}

bool FunctionTable::wants_scan(Behaviour& behaviour, bool reaches_pointers) const {
  const uint64_t launch = behaviour.launches.fetch_add(1, std::memory_order_relaxed);
  if (reaches_pointers) {
    if (behaviour.copies_pointers.load(std::memory_order_relaxed)) return true;
    if (behaviour.holder_launches.fetch_add(1, std::memory_order_relaxed) < kFirstHolderLaunches) return true;
  }
  // New until its first scans have reported, however many launches were queued meanwhile.
  if (launch < kFirstLaunches || behaviour.type.load(std::memory_order_relaxed) != FunctionClass::kPlain) return true;
  return (launch & sample_mask(behaviour)) == 0;
}

void FunctionTable::forget_all(Behaviour& behaviour) {
  behaviour.type.store(FunctionClass::kNew, std::memory_order_relaxed);
  behaviour.copies_pointers.store(false, std::memory_order_relaxed);
  for (auto* count : {&behaviour.launches, &behaviour.holder_launches}) count->store(0, std::memory_order_relaxed);
  for (auto* count : {&behaviour.scans_queued, &behaviour.scans_reported, &behaviour.clean_streak}) {
    count->store(0, std::memory_order_relaxed);
  }
}

void FunctionTable::suspect(Behaviour& behaviour) {
  behaviour.clean_streak.store(0, std::memory_order_relaxed);
  behaviour.type.store(FunctionClass::kStorer, std::memory_order_relaxed);
}

bool FunctionTable::scanned(Behaviour& behaviour, Found found) {
  const bool first = behaviour.scans_reported.fetch_add(1, std::memory_order_relaxed) + 1 == kFirstLaunches;
  if (found.not_read) {
    behaviour.type.store(FunctionClass::kStorer, std::memory_order_relaxed);
  } else if (found.fresh) {
    behaviour.copies_pointers.store(true, std::memory_order_relaxed);
  }
  if (found.pointers) {
    behaviour.clean_streak.store(0, std::memory_order_relaxed);
  } else if (behaviour.clean_streak.fetch_add(1, std::memory_order_relaxed) + 1 >= kForgiveAfter) {
    behaviour.type.store(FunctionClass::kPlain, std::memory_order_relaxed);
  }
  FunctionClass fresh = FunctionClass::kNew;
  if (first) behaviour.type.compare_exchange_strong(fresh, FunctionClass::kPlain, std::memory_order_relaxed);
  return first;
}

}  // namespace loretoken
