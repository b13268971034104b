#include "api.h"

#include <pthread.h>

#include <atomic>
#include <cstdlib>

#include "board.h"
#include "fault.h"
#include "inject.h"

namespace loretoken::sim {

namespace {

thread_local bool use_per_thread = false;
thread_local int host_function_depth = 0;
std::atomic<bool> forked{false};

uint64_t number_from(const char* name, uint64_t fallback) {
  const char* text = std::getenv(name);
  return text && *text ? std::strtoull(text, nullptr, 0) : fallback;
}

std::vector<inject::Range> live_ranges(bool host) {
  State& s = state();
  Lock lock(s.mutex);
  std::vector<inject::Range> ranges;
  if (host) {
    for (auto& [base, a] : s.allocations)
      if (a->kind == Kind::kHost) ranges.push_back({reinterpret_cast<void*>(a->base), a->size});
    return ranges;
  }
  for (auto& [base, a] : s.allocations) {
    if (a->kind != Kind::kDevice && a->kind != Kind::kPool && a->kind != Kind::kGraph) continue;
    if (!a->charged) continue;
    ranges.push_back({s.devices[static_cast<size_t>(a->device)]->memory.shadow() + a->block.offset, a->size});
  }
  for (auto& [base, m] : s.mappings)
    if (m.handle->device >= 0 && m.handle->fd < 0)
      ranges.push_back({s.devices[static_cast<size_t>(m.handle->device)]->memory.shadow() + m.handle->offset, m.size});
  return ranges;
}

CUresult initialise() {
  State& s = state();
  Lock lock(s.mutex);
  if (s.initialised) return CUDA_SUCCESS;
  s.seed = number_from("LORETOKEN_SIM_SEED", 1);
  s.jitter = std::min<uint64_t>(number_from("LORETOKEN_SIM_JITTER", 10), 100);
  const bool poison = number_from("LORETOKEN_SIM_POISON", 1) != 0;
  for (auto& card : board::cards()) {
    auto device = std::make_unique<Device>();
    device->ordinal = static_cast<int>(s.devices.size());
    if (!device->memory.open(card.memory_bytes, s.seed + s.devices.size(), poison)) return CUDA_ERROR_OUT_OF_MEMORY;
    device->heap = std::make_unique<Heap>(&device->memory, HeapOf::kContext);
    device->default_pool = std::make_shared<Pool>(&device->memory);
    device->default_pool->device = device->ordinal;
    device->default_pool->is_default = true;
    device->default_pool->access[device->ordinal] = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    device->current_pool = device->default_pool;
    s.pools.add(device->default_pool);
    s.devices.push_back(std::move(device));
  }
  install_fault_handlers();
  inject::set_range_source(live_ranges);
  pthread_atfork(nullptr, nullptr, [] { forked.store(true); });
  std::atexit([] {
    if (!forked.load()) stop_workers();
  });
  s.initialised = true;
  return CUDA_SUCCESS;
}

}  // namespace

State& state() {
  static State* instance = new State;  // never destroyed: workers and late callers may outlive the exit handlers
  return *instance;
}

ApiCall::ApiCall(const char* name, Need need) : name_(name) {
  error = inject::on_call(name);
  if (error != CUDA_SUCCESS || need == Need::kNothing) return;
  if (forked.load(std::memory_order_relaxed)) {
    error = CUDA_ERROR_NOT_INITIALIZED;
    return;
  }
  if (host_function_depth) {
    error = CUDA_ERROR_NOT_PERMITTED;
    return;
  }
  State& s = state();
  Lock lock(s.mutex);
  if (!s.initialised) {
    error = CUDA_ERROR_NOT_INITIALIZED;
    return;
  }
  if (s.exiting) {
    error = CUDA_ERROR_DEINITIALIZED;
    return;
  }
  if (need == Need::kInit) return;
  auto& stack = context_stack();
  if (stack.empty()) {
    error = CUDA_ERROR_INVALID_CONTEXT;
    return;
  }
  ctx = stack.back();
  if (ctx->destroyed) {
    error = CUDA_ERROR_CONTEXT_IS_DESTROYED;
  } else if (need == Need::kContext) {
    error = ctx->sticky;
  }
}

PerThreadDefault::PerThreadDefault() : before_(use_per_thread) {
  use_per_thread = true;
}
PerThreadDefault::~PerThreadDefault() {
  use_per_thread = before_;
}
bool per_thread_default() {
  return use_per_thread;
}

InHostFunction::InHostFunction() {
  ++host_function_depth;
}
InHostFunction::~InHostFunction() {
  --host_function_depth;
}

uint64_t thread_number() {
  static std::atomic<uint64_t> next{1};
  thread_local const uint64_t number = next.fetch_add(1, std::memory_order_relaxed);
  return number;
}

std::vector<std::shared_ptr<Context>>& context_stack() {
  thread_local std::vector<std::shared_ptr<Context>> stack;
  return stack;
}

std::shared_ptr<Stream> find_stream(Context& ctx, CUstream handle) {
  if (!ctx.legacy) return nullptr;  // destroyed meanwhile
  if (!handle) handle = use_per_thread ? CU_STREAM_PER_THREAD : CU_STREAM_LEGACY;
  if (handle == CU_STREAM_LEGACY) return ctx.legacy;
  if (handle == CU_STREAM_PER_THREAD) {
    auto& stream = ctx.per_thread[thread_number()];
    if (!stream) stream = make_stream(ctx.legacy->ctx, 0, 0);
    return stream;
  }
  return state().streams.find(handle);
}

std::shared_ptr<Allocation> find_allocation(uintptr_t address) {
  auto& all = state().allocations;
  auto it = all.upper_bound(address);
  if (it == all.begin()) return nullptr;
  auto& found = std::prev(it)->second;
  return address - found->base < std::max<uint64_t>(found->size, 1) ? found : nullptr;
}

Mapping* find_mapping(uintptr_t address) {
  auto& all = state().mappings;
  auto it = all.upper_bound(address);
  if (it == all.begin()) return nullptr;
  Mapping& found = std::prev(it)->second;
  return address - found.base < found.size ? &found : nullptr;
}

const std::pair<const uintptr_t, uint64_t>* find_reservation(uintptr_t address) {
  auto& all = state().reservations;
  auto it = all.upper_bound(address);
  if (it == all.begin()) return nullptr;
  --it;
  return address - it->first < it->second ? &*it : nullptr;
}

bool is_pinned(const void* host, size_t bytes) {
  const auto address = reinterpret_cast<uintptr_t>(host);
  auto found = find_allocation(address);
  return found && (found->kind == Kind::kHost || found->kind == Kind::kRegistered) &&
         address + bytes <= found->base + found->size;
}

bool is_device_address(uintptr_t address) {
  auto found = find_allocation(address);
  if (found) return found->kind != Kind::kHost && found->kind != Kind::kRegistered;
  return find_reservation(address) != nullptr;
}

}  // namespace loretoken::sim

using namespace loretoken::sim;

extern "C" {

CUresult cuInit(unsigned int flags) {
  SIM_API(cuInit, kNothing);
  if (forked.load()) return CUDA_ERROR_NOT_INITIALIZED;
  if (flags) return CUDA_ERROR_INVALID_VALUE;
  return initialise();
}

CUresult cuDriverGetVersion(int* version) {
  SIM_API(cuDriverGetVersion, kNothing);
  if (!version) return CUDA_ERROR_INVALID_VALUE;
  *version = board::kDriverVersion;
  return CUDA_SUCCESS;
}

}  // extern "C"
