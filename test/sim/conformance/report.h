// What the sections share: printing one line per fact, and the objects nearly every section needs.
#ifndef LORETOKEN_CONFORMANCE_REPORT_H
#define LORETOKEN_CONFORMANCE_REPORT_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "driver.h"

namespace conformance {

inline constexpr size_t kMiB = 1u << 20;

// "section.what: text". Sections set the prefix by `begin`.
void begin(const char* section);
void say(const std::string& what, const char* format, ...) __attribute__((format(printf, 2, 3)));
// Prints the name of the result and returns it.
CUresult result(const std::string& what, CUresult value);
std::string name_of(CUresult value);

// cuInit, device 0, its primary context current. False (and a line) when that fails.
bool start();
CUdevice device();
CUcontext primary();

// The kernel module, loaded once; function by name (null and a line when it is not there).
CUmodule kernels();
CUfunction kernel(const char* name);
const std::vector<char>& kernel_image();
void set_kernel_path(const std::string& path);

CUdeviceptr allocate(size_t bytes);  // 0 and a line when it fails
CUstream make_stream(unsigned flags = CU_STREAM_NON_BLOCKING);
CUevent make_event(unsigned flags = CU_EVENT_DISABLE_TIMING);
CUresult fill(CUstream stream, CUdeviceptr out, uint32_t count, uint32_t value);  // out[i] = value + i
// FNV-1a over device bytes, read by a synchronous copy; 0 when the copy fails.
uint64_t hash_of(CUdeviceptr address, size_t bytes);
uint64_t hash_bytes(const void* data, size_t bytes);

// A stream that is blocked in a host function until `release` is called.
class Blocked {
 public:
  explicit Blocked(CUstream stream);
  ~Blocked();
  void release();

 private:
  struct Gate;
  Gate* gate_;
};

struct VmmRange {
  CUdeviceptr base = 0;
  size_t size = 0;
  CUmemGenericAllocationHandle handle = 0;
};
CUmemAllocationProp device_memory();
CUresult allow(CUdeviceptr base, size_t size, CUmemAccess_flags flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
// A reservation with one handle mapped over all of it, readable and writable.
VmmRange map_fresh(size_t size);

void section_init();
void section_attributes();
void section_context();
void section_memory();
void section_copies();
void section_host_memory();
void section_vmm_create();
void section_vmm_reserve();
void section_vmm_map();
void section_vmm_share();
void section_vmm_graph();
void section_pointers();
void section_pools();
void section_streams();
void section_events();
void section_capture_modes();
void section_capture_rules();
void section_graphs();
void section_graph_memory();
void section_modules();
void section_launch();
void section_procaddress();
void section_ipc();
void section_fault();

}  // namespace conformance

#endif  // LORETOKEN_CONFORMANCE_REPORT_H
