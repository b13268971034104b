// Modules: shared objects that hold kernels compiled for the host (kernels/host/host_module.h).
#ifndef LORETOKEN_SIM_MODULE_H
#define LORETOKEN_SIM_MODULE_H

#include <map>
#include <string>

#include "host_module.h"
#include "state.h"

namespace loretoken::sim {

// One loaded copy of an image; closed with its last owner.
class Image {
 public:
  // `file`: the descriptor that it was opened by; closed with it.
  Image(void* handle, int file, const LtHostModule* table) : handle_(handle), file_(file), table_(table) {}
  Image(const Image&) = delete;
  ~Image();
  const LtHostModule& table() const { return *table_; }

 private:
  void* handle_;
  int file_;
  const LtHostModule* table_;
};

// Reads, copies and opens an image. `error` says why there is none.
std::shared_ptr<Image> open_image(const void* data, CUresult& error);
std::shared_ptr<Image> open_file(const char* path, CUresult& error);

struct Function {
  Module* module = nullptr;
  std::shared_ptr<Image> image;  // keeps the code while work is queued
  std::shared_ptr<Context> ctx;
  const LtHostKernel* kernel = nullptr;
  int max_dynamic_shared = 48 << 10;
  int carveout = -1;
  size_t param_bytes() const;
};

struct Module {
  std::shared_ptr<Context> ctx;
  std::shared_ptr<Image> image;
  std::map<std::string, std::shared_ptr<Function>> functions;
  Library* library = nullptr;
};

struct Kernel {
  Library* library = nullptr;
  const LtHostKernel* kernel = nullptr;
  int max_dynamic_shared = 48 << 10;
};

// Context-independent: a module per context is made when it is first needed there.
struct Library {
  std::shared_ptr<Image> image;
  CUresult broken = CUDA_SUCCESS;  // what every question about an image that is none is answered with
  std::map<std::string, std::shared_ptr<Kernel>> kernels;
  std::map<const Context*, std::shared_ptr<Module>> modules;
};

std::shared_ptr<Module> make_module(const std::shared_ptr<Context>& ctx, std::shared_ptr<Image> image);
std::shared_ptr<Module> library_module(Library& library, const std::shared_ptr<Context>& ctx);
// The function of a CUfunction, or of a CUkernel in the context, as launches accept both; null when it is neither.
std::shared_ptr<Function> resolve_function(CUfunction handle, const std::shared_ptr<Context>& ctx);
// The global variable that holds the address, in any loaded module; `owner` is the module's context.
const LtHostGlobal* find_global(uintptr_t address, std::shared_ptr<Context>* owner = nullptr);

}  // namespace loretoken::sim

#endif  // LORETOKEN_SIM_MODULE_H
