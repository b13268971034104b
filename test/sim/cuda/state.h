// The objects of the simulated driver and the one lock that guards them.
//
// Every field below is guarded by `state().mutex` unless its comment says otherwise. Handles that programs see are the
// addresses of these objects; each kind has a table of the living ones, so that a stale handle is found out.
#ifndef LORETOKEN_SIM_STATE_H
#define LORETOKEN_SIM_STATE_H

#include <cuda.h>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "body.h"
#include "physical.h"

namespace loretoken::sim {

using Lock = std::unique_lock<std::mutex>;

struct Op;
struct Stream;
struct Capture;
struct Graph;
struct GraphExec;
struct Node;

// A point in a stream. Done once everything queued before it has run.
struct Marker {
  bool done = false;
  uint64_t time_ns = 0;  // steady clock, when it became done
  std::vector<std::shared_ptr<Op>> waiters;
};

struct Context {
  int device = 0;
  unsigned flags = 0;
  bool primary = false;
  bool destroyed = false;
  uint64_t id = 0;
  CUresult sticky = CUDA_SUCCESS;  // set by the first fault, returned by every later call
  std::shared_ptr<Stream> legacy;
  std::unordered_map<uint64_t, std::shared_ptr<Stream>> per_thread;
  std::list<std::shared_ptr<Stream>> streams;  // all, destroyed ones until they are drained
  std::set<const Context*> peers;
  std::map<int, size_t> limits;
};

struct Stream : std::enable_shared_from_this<Stream> {
  std::shared_ptr<Context> ctx;
  unsigned flags = 0;
  int priority = 0;
  uint64_t id = 0;
  bool legacy = false;
  bool destroyed = false;
  bool running = false;  // queued for a worker, or a worker is on it
  std::deque<std::shared_ptr<Op>> queue;
  std::shared_ptr<Marker> tail;  // of the last op queued; null when there never was one
  std::mt19937_64 random;        // used by the worker that runs the stream
  std::shared_ptr<Capture> capture;
  std::vector<Node*> capture_deps;
  std::map<int, CUstreamAttrValue> attributes;
  bool blocking() const { return !legacy && !(flags & CU_STREAM_NON_BLOCKING); }
};

struct Event {
  std::shared_ptr<Context> ctx;
  unsigned flags = 0;
  std::shared_ptr<Marker> last;  // null: never recorded
  std::shared_ptr<Capture> capture;
  std::vector<Node*> capture_deps;
};

struct Pool {
  explicit Pool(DeviceMemory* memory) : heap(memory, HeapOf::kPool) {}
  int device = 0;
  bool is_default = false;
  bool destroyed = false;
  Heap heap;
  uint64_t max_size = 0;  // 0: none
  uint64_t threshold = 0;
  uint64_t used = 0, used_high = 0, reserved_high = 0;  // bytes as asked for, and as charged
  int follow_events = 1, opportunistic = 1, internal_dependencies = 1;
  std::map<int, CUmemAccess_flags> access;
};

enum class Kind { kDevice, kPool, kGraph, kHost, kRegistered, kManaged, kIpc };

// What one allocating call returned.
struct Allocation {
  uintptr_t base = 0;
  uint64_t size = 0;  // as asked for
  Kind kind = Kind::kDevice;
  std::shared_ptr<Context> ctx;
  int device = 0;
  unsigned flags = 0;
  uint64_t buffer_id = 0;
  Block block;
  std::shared_ptr<Pool> pool;
  bool free_queued = false;
  bool charged = true;   // graph allocations are charged when a graph that makes them is instantiated or launched
  bool live = false;     // graph allocations: made and not freed, in the order of the program's calls
  bool counted = false;  // in the pool's used bytes
  std::weak_ptr<GraphExec> exec;  // graph allocations: the executable graph that makes them
  int sync_memops = 0;
};

// A physical handle of cuMemCreate.
struct Handle {
  CUmemAllocationProp prop{};
  uint64_t size = 0;
  int device = -1;  // -1: host memory, not counted
  int fd = -1;      // own memfd when >= 0, else a piece of the device's file
  uint64_t offset = 0;
  uint64_t refs = 1;
  uint64_t maps = 0;
  uint64_t block_id = 0;
};

struct Mapping {
  uintptr_t base = 0;
  uint64_t size = 0;
  std::shared_ptr<Handle> handle;
  std::map<int, CUmemAccess_flags> access;  // by device
  CUmemAccess_flags host_access = CU_MEM_ACCESS_FLAGS_PROT_NONE;
  uint64_t buffer_id = 0;

  bool accessible() const {
    return host_access != CU_MEM_ACCESS_FLAGS_PROT_NONE ||
           std::ranges::any_of(access, [](const auto& one) { return one.second != CU_MEM_ACCESS_FLAGS_PROT_NONE; });
  }
};

struct Device {
  int ordinal = 0;
  DeviceMemory memory;
  std::unique_ptr<Heap> heap;
  std::shared_ptr<Pool> default_pool, current_pool;
  std::shared_ptr<Context> primary;
  unsigned primary_refs = 0, primary_flags = 0;
  Reserve graph_memory{&memory, kPoolChunk};
  uint64_t graph_high = 0, graph_reserved_high = 0;
};

struct Function;
struct Kernel;
struct Module;
struct Library;
struct Array;

struct TexObject {
  CUDA_RESOURCE_DESC resource{};
  CUDA_TEXTURE_DESC texture{};
  CUDA_RESOURCE_VIEW_DESC view{};
  bool has_view = false;
};

struct UserObject {
  void* ptr = nullptr;
  CUhostFn destroy = nullptr;
  unsigned refs = 0;
};

template <class T>
class Table {
 public:
  void add(std::shared_ptr<T> object) {
    const void* key = object.get();
    live_[key] = std::move(object);
  }
  std::shared_ptr<T> find(const void* handle) const {
    auto it = live_.find(handle);
    return it == live_.end() ? nullptr : it->second;
  }
  bool remove(const void* handle) { return live_.erase(handle) != 0; }
  const std::unordered_map<const void*, std::shared_ptr<T>>& all() const { return live_; }

 private:
  std::unordered_map<const void*, std::shared_ptr<T>> live_;
};

struct State {
  std::mutex mutex;
  bool initialised = false;
  bool exiting = false;
  uint64_t seed = 1;
  uint64_t jitter = 10;  // 0..100, constant after initialisation
  std::vector<std::unique_ptr<Device>> devices;
  Table<Context> contexts;
  Table<Stream> streams;
  Table<Event> events;
  Table<Pool> pools;
  Table<Handle> handles;
  Table<Module> modules;
  Table<Library> libraries;
  Table<Function> functions;
  Table<Kernel> kernels;
  Table<Graph> graphs;
  Table<GraphExec> graph_execs;
  Table<Array> arrays;
  Table<TexObject> textures, surfaces;
  Table<UserObject> user_objects;
  std::unordered_map<const void*, Graph*> nodes;
  std::map<uintptr_t, std::shared_ptr<Allocation>> allocations;  // by base
  size_t graph_allocations = 0;                                  // of Kind::kGraph
  std::map<uintptr_t, uint64_t> reservations;
  std::map<uintptr_t, Mapping> mappings;
  std::vector<std::shared_ptr<Capture>> captures;
  uint64_t next_id = 1;
};

State& state();

// The living allocation or mapping that holds the address, or null.
std::shared_ptr<Allocation> find_allocation(uintptr_t address);
Mapping* find_mapping(uintptr_t address);
// The reservation (base, size) that holds the address, mapped there or not; null when there is none.
const std::pair<const uintptr_t, uint64_t>* find_reservation(uintptr_t address);
// Host memory that the device can reach: cuMemHostAlloc, cuMemHostRegister. `bytes` must fit.
bool is_pinned(const void* host, size_t bytes);
// Managed, reserved, pooled or plain device memory: an address that is no pageable or pinned host memory.
bool is_device_address(uintptr_t address);

inline Device* find_device(CUdevice ordinal) {
  State& s = state();
  if (ordinal < 0 || static_cast<size_t>(ordinal) >= s.devices.size()) return nullptr;
  return s.devices[static_cast<size_t>(ordinal)].get();
}

}  // namespace loretoken::sim

#endif  // LORETOKEN_SIM_STATE_H
