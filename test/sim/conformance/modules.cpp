// Modules, libraries, parameter layouts, launches.
#include "report.h"

namespace conformance {

namespace {

void params_of(const char* name) {
  const CUfunction function = kernel(name);
  std::string text;
  for (size_t i = 0; i < 8; ++i) {
    size_t offset = 0, size = 0;
    const CUresult status = CU(cuFuncGetParamInfo)(function, i, &offset, &size);
    text += status == CUDA_SUCCESS ? " " + std::to_string(offset) + "+" + std::to_string(size) : " " + name_of(status);
    if (status != CUDA_SUCCESS) break;
  }
  say(std::string("params of ") + name, "%s", text.c_str());
}

struct PackedParams {
  CUdeviceptr out;
  uint32_t count, value;
};

}  // namespace

void section_modules() {
  CUmodule module = nullptr;
  result("load(null)", CU(cuModuleLoadData)(nullptr, kernel_image().data()));
  char junk[4096] = "this is no image";
  result("load(junk)", CU(cuModuleLoadData)(&module, junk));
  result("load(no file)", CU(cuModuleLoad)(&module, "/no/such/file"));
  result("load", CU(cuModuleLoadData)(&module, kernel_image().data()));
  CUfunction function = nullptr;
  result("function", CU(cuModuleGetFunction)(&function, module, "conform_fill"));
  result("function(unknown)", CU(cuModuleGetFunction)(&function, module, "no_such_kernel"));
  result("function(null name)", CU(cuModuleGetFunction)(&function, module, nullptr));
  unsigned count = 0;
  result("count", CU(cuModuleGetFunctionCount)(&count, module));
  say("count", "%u", count);
  CUdeviceptr global = 0;
  size_t bytes = 0;
  result("global", CU(cuModuleGetGlobal)(&global, &bytes, module, "conform_global"));
  say("global size", "%zu", bytes);
  result("global(unknown)", CU(cuModuleGetGlobal)(&global, &bytes, module, "no_such_global"));
  unsigned type = 0;
  CU(cuModuleGetGlobal)(&global, nullptr, module, "conform_global");
  result("global's memory type", CU(cuPointerGetAttribute)(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, global));
  uint32_t value = 77;
  result("read global", CU(cuMemcpyDtoH)(&value, global, 4));
  say("global starts as", "%u", value);
  for (const char* name : {"conform_fill", "conform_params", "conform_none", "conform_follow"}) params_of(name);
  size_t offset = 0, size = 0;
  result("param info(no size)", CU(cuFuncGetParamInfo)(kernel("conform_fill"), 0, &offset, nullptr));
  result("param info(no offset)", CU(cuFuncGetParamInfo)(kernel("conform_fill"), 0, nullptr, &size));
  const char* name = nullptr;
  result("name", CU(cuFuncGetName)(&name, kernel("conform_fill")));
  say("name", "%s", name ? name : "(null)");
  CUmodule owner = nullptr;
  result("module of function", CU(cuFuncGetModule)(&owner, kernel("conform_fill")));
  say("module_is_owner", "%d", owner == kernels());
  for (int i : {CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES,
                CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES,
                CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES}) {
    int attribute = -1;
    const auto status =
        CU(cuFuncGetAttribute)(&attribute, static_cast<CUfunction_attribute>(i), kernel("conform_fill"));
    say("attribute[" + std::to_string(i) + "]", "%s %d", name_of(status).c_str(), attribute);
  }
  int attribute = 0;
  result("attribute(bad)",
         CU(cuFuncGetAttribute)(&attribute, static_cast<CUfunction_attribute>(999), kernel("conform_fill")));
  result("unload", CU(cuModuleUnload)(module));

  CUlibrary library = nullptr;
  CUkernel library_kernel = nullptr;
  result("library", CU(cuLibraryLoadData)(&library, kernel_image().data(), nullptr, nullptr, 0, nullptr, nullptr, 0));
  result("library(junk)", CU(cuLibraryLoadData)(&library, junk, nullptr, nullptr, 0, nullptr, nullptr, 0));
  CU(cuLibraryLoadData)(&library, kernel_image().data(), nullptr, nullptr, 0, nullptr, nullptr, 0);
  result("kernel", CU(cuLibraryGetKernel)(&library_kernel, library, "conform_params"));
  CUkernel missing = nullptr;
  result("kernel(unknown)", CU(cuLibraryGetKernel)(&missing, library, "no_such_kernel"));
  result("kernel count", CU(cuLibraryGetKernelCount)(&count, library));
  say("kernel count", "%u", count);
  for (size_t i = 0; i < 7; ++i) {
    const CUresult status = CU(cuKernelGetParamInfo)(library_kernel, i, &offset, &size);
    say("kernel param[" + std::to_string(i) + "]", "%s %zu+%zu", name_of(status).c_str(),
        status == CUDA_SUCCESS ? offset : 0, status == CUDA_SUCCESS ? size : 0);
  }
  result("function of kernel", CU(cuKernelGetFunction)(&function, library_kernel));
  say("function_is_kernel", "%d", reinterpret_cast<void*>(function) == reinterpret_cast<void*>(library_kernel));
  result("kernel name", CU(cuKernelGetName)(&name, library_kernel));
  result("param info of kernel as function",
         CU(cuFuncGetParamInfo)(reinterpret_cast<CUfunction>(library_kernel), 0, &offset, &size));
  result("library global", CU(cuLibraryGetGlobal)(&global, &bytes, library, "conform_global"));
  result("library module", CU(cuLibraryGetModule)(&module, library));
  const CUdeviceptr out = allocate(64);
  CUdeviceptr out_param = out;
  uint32_t n = 16, start_value = 4;
  void* params[] = {&out_param, &n, &start_value};
  CUkernel filler = nullptr;
  CU(cuLibraryGetKernel)(&filler, library, "conform_fill");
  result("launch kernel handle",
         CU(cuLaunchKernel)(reinterpret_cast<CUfunction>(filler), 1, 1, 1, 16, 1, 1, 0, nullptr, params, nullptr));
  say("its hash", "%016llx", static_cast<unsigned long long>(hash_of(out, 64)));
  result("library unload", CU(cuLibraryUnload)(library));
}

void section_launch() {
  const CUstream stream = make_stream();
  const CUdeviceptr memory = allocate(65536);
  CUdeviceptr out = memory;
  uint32_t n = 4096, value = 9;
  void* params[] = {&out, &n, &value};
  const CUfunction filler = kernel("conform_fill");
  auto launch = [&](const char* what, unsigned grid_x, unsigned grid_y, unsigned block, unsigned shared, void** values,
                    void** extra) {
    result(what, CU(cuLaunchKernel)(filler, grid_x, grid_y, 1, block, 1, 1, shared, stream, values, extra));
  };
  launch("plain", 16, 1, 256, 0, params, nullptr);
  say("plain hash", "%016llx", static_cast<unsigned long long>(hash_of(memory, 65536 / 4)));
  launch("grid 0", 0, 1, 256, 0, params, nullptr);
  launch("block 0", 16, 1, 0, 0, params, nullptr);
  launch("block 1024", 4, 1, 1024, 0, params, nullptr);
  launch("block 1025", 4, 1, 1025, 0, params, nullptr);
  launch("grid y 65535", 1, 65535, 32, 0, params, nullptr);
  launch("grid y 65536", 1, 65536, 32, 0, params, nullptr);
  launch("shared 48 KiB", 1, 1, 32, 48 << 10, params, nullptr);
  launch("shared 64 KiB", 1, 1, 32, 64 << 10, params, nullptr);
  result("opt in", CU(cuFuncSetAttribute)(filler, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 64 << 10));
  launch("shared 64 KiB after opt in", 1, 1, 32, 64 << 10, params, nullptr);
  result("opt in 1 MiB", CU(cuFuncSetAttribute)(filler, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 1 << 20));
  PackedParams packed{memory, 4096, 21};
  size_t packed_size = 16;
  void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed, CU_LAUNCH_PARAM_BUFFER_SIZE, &packed_size,
                   CU_LAUNCH_PARAM_END};
  launch("extra", 16, 1, 256, 0, nullptr, extra);
  say("extra hash", "%016llx", static_cast<unsigned long long>(hash_of(memory, 65536 / 4)));
  launch("both", 16, 1, 256, 0, params, extra);
  packed_size = 8;
  launch("extra too short", 16, 1, 256, 0, nullptr, extra);
  packed_size = 64;
  launch("extra too long", 16, 1, 256, 0, nullptr, extra);
  result("no parameters, none needed",
         CU(cuLaunchKernel)(kernel("conform_none"), 1, 1, 1, 1, 1, 1, 0, stream, nullptr, nullptr));
  result("null function", CU(cuLaunchKernel)(nullptr, 1, 1, 1, 1, 1, 1, 0, stream, params, nullptr));
  CUlaunchConfig config{};
  config.gridDimX = 16;
  config.gridDimY = config.gridDimZ = 1;
  config.blockDimX = 256;
  config.blockDimY = config.blockDimZ = 1;
  config.hStream = stream;
  value = 31;
  result("ex", CU(cuLaunchKernelEx)(&config, filler, params, nullptr));
  say("ex hash", "%016llx", static_cast<unsigned long long>(hash_of(memory, 65536 / 4)));
  CUlaunchAttribute attribute{};
  attribute.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
  attribute.value.cooperative = 1;
  config.attrs = &attribute;
  config.numAttrs = 1;
  result("ex cooperative", CU(cuLaunchKernelEx)(&config, filler, params, nullptr));
  config.gridDimX = 1u << 20;
  result("ex cooperative too large", CU(cuLaunchKernelEx)(&config, filler, params, nullptr));
  result("ex null", CU(cuLaunchKernelEx)(nullptr, filler, params, nullptr));
  result("cooperative", CU(cuLaunchCooperativeKernel)(filler, 16, 1, 1, 256, 1, 1, 0, stream, params));
  uint8_t a = 1;
  double b = 2;
  uint16_t c = 3;
  struct {
    uint64_t first;
    uint8_t second;
  } pair{4, 5};
  float d = 6;
  void* mixed[] = {&a, &b, &c, &pair, &d, &out};
  result("mixed", CU(cuLaunchKernel)(kernel("conform_params"), 1, 1, 1, 32, 1, 1, 0, stream, mixed, nullptr));
  uint64_t sum = 0;
  CU(cuCtxSynchronize)();
  CU(cuMemcpyDtoH)(&sum, memory, 8);
  say("mixed sum", "%llu", static_cast<unsigned long long>(sum));
  const CUdeviceptr table = allocate(8);
  const CUdeviceptr target = memory + 128;
  CU(cuMemcpyHtoD)(table, &target, 8);
  CUdeviceptr table_param = table;
  uint32_t written = 1234, seen = 0;
  void* follow[] = {&table_param, &written};
  result("follow", CU(cuLaunchKernel)(kernel("conform_follow"), 1, 1, 1, 1, 1, 1, 0, stream, follow, nullptr));
  CU(cuCtxSynchronize)();
  CU(cuMemcpyDtoH)(&seen, target, 4);
  say("followed", "%u", seen);
  launch("no parameters, some needed", 1, 1, 32, 0, nullptr, nullptr);
}

}  // namespace conformance
