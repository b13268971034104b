// Opens a host object and launches its kernels directly, without any driver.
#ifndef LORETOKEN_TESTS_HOST_OBJECT_H
#define LORETOKEN_TESTS_HOST_OBJECT_H

#include <dlfcn.h>

#include <cstring>
#include <stdexcept>
#include <string>

#define LT_HOST_MODULE_DEFINES  // the symbol is looked up, not linked
#include "host_module.h"

namespace loretoken {

class HostObject {
 public:
  explicit HostObject(const char* path) : library_(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    if (!library_) throw std::runtime_error(dlerror());
    module_ = static_cast<const LtHostModule*>(dlsym(library_, "lt_host_module"));
    if (!module_ || module_->abi_version != 1) throw std::runtime_error("no host module in the library");
  }
  ~HostObject() { dlclose(library_); }
  HostObject(const HostObject&) = delete;
  HostObject& operator=(const HostObject&) = delete;

  const LtHostKernel* find(const char* name) const {
    for (uint32_t i = 0; i < module_->kernel_count; ++i)
      if (!std::strcmp(module_->kernels[i].name, name)) return &module_->kernels[i];
    return nullptr;
  }
  const LtHostKernel& kernel(const char* name) const {
    const LtHostKernel* found = find(name);
    if (!found) throw std::runtime_error(std::string("no kernel ") + name);
    return *found;
  }
  const LtHostGlobal& global(const char* name) const {
    for (uint32_t i = 0; i < module_->global_count; ++i)
      if (!std::strcmp(module_->globals[i].name, name)) return module_->globals[i];
    throw std::runtime_error(std::string("no global ") + name);
  }

  template <class... Args>
  void launch(const char* name, LtHostDim3 grid, LtHostDim3 block, uint32_t shared_bytes, Args... args) const {
    void* params[] = {static_cast<void*>(&args)..., nullptr};
    const LtHostLaunch launch{grid, block, shared_bytes, params};
    kernel(name).run(&launch);
  }

 private:
  void* library_;
  const LtHostModule* module_ = nullptr;
};

}  // namespace loretoken

#endif  // LORETOKEN_TESTS_HOST_OBJECT_H
