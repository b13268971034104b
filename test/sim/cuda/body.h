// What one stream operation or graph node does. A body is self-contained: parameters were copied when it was made.
#ifndef LORETOKEN_SIM_BODY_H
#define LORETOKEN_SIM_BODY_H

#include <cuda.h>

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

namespace loretoken::sim {

struct Function;
struct Kernel;
struct Event;
struct Graph;
struct Context;
struct Stream;
struct Allocation;

struct EmptyBody {};

struct KernelBody {
  std::shared_ptr<Function> function;
  CUkernel kernel = nullptr;  // set when the program launched a CUkernel
  unsigned grid[3] = {1, 1, 1}, block[3] = {1, 1, 1}, shared = 0;
  std::vector<uint64_t> params;  // the packed parameter buffer, 8-byte aligned
  std::vector<void*> pointers;   // into params, for programs that ask a graph node
};

struct CopyBody {
  CUDA_MEMCPY3D_PEER shape{};
  std::shared_ptr<std::vector<char>> staged;  // the source, when it was read at the call (dense rows)
};

struct MemsetBody {
  CUDA_MEMSET_NODE_PARAMS_v2 set{};
};

struct HostBody {
  CUhostFn fn = nullptr;
  CUstreamCallback callback = nullptr;  // instead of fn
  CUstream stream = nullptr;            // for callback
  void* data = nullptr;
};

struct MemOpBody {
  std::vector<CUstreamBatchMemOpParams> ops;
  unsigned flags = 0;
};

struct AllocBody {
  std::shared_ptr<Allocation> allocation;
  CUmemPoolProps props{};
};

struct FreeBody {
  std::shared_ptr<Allocation> allocation;
};

struct ChildBody {
  std::shared_ptr<Graph> graph;
};

struct EventRecordBody {
  std::shared_ptr<Event> event;
};

struct EventWaitBody {
  std::shared_ptr<Event> event;
};

using Body = std::variant<EmptyBody, KernelBody, CopyBody, MemsetBody, HostBody, MemOpBody, AllocBody, FreeBody,
                          ChildBody, EventRecordBody, EventWaitBody>;

// Runs a body on a worker thread, node by node when it is a graph; no lock is held. Pauses at random before it. A touch
// of an unmapped address becomes the context's sticky error, after which only callbacks run.
void perform(const Body& body, const std::shared_ptr<Stream>& stream);

void execute_kernel(const KernelBody& body);
void execute_copy(const CopyBody& body);
void execute_memset(const MemsetBody& body);
void execute_mem_op(const MemOpBody& body, const std::shared_ptr<Stream>& stream);
void execute_alloc(const AllocBody& body);
void execute_free(const FreeBody& body);
void execute_host(const HostBody& body, CUresult status);

// The word that fault messages and injection use.
const char* body_name(const Body& body);
// The kernel's name, or null.
const char* body_detail(const Body& body);

}  // namespace loretoken::sim

#endif  // LORETOKEN_SIM_BODY_H
