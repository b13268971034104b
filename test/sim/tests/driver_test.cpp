// Versions, names, modules, contexts, errors.
#include <dlfcn.h>

#include <fstream>
#include <iterator>
#include <string>

#include "fixture.h"

namespace loretoken::sim::testing {

class DriverCallsTest : public DriverTest {
 protected:
  void* proc(const char* name, int version, cuuint64_t flags = 0) {
    void* address = nullptr;
    CUdriverProcAddressQueryResult status{};
    EXPECT_EQ(CUDA_SUCCESS, cuGetProcAddress(name, &address, version, flags, &status)) << name;
    status_ = status;
    return address;
  }
  static void* exported(const char* name) { return dlsym(RTLD_DEFAULT, name); }
  CUdriverProcAddressQueryResult status_{};
};

TEST_F(DriverCallsTest, TheVersionPicksTheForm) {
  EXPECT_EQ(exported("cuCtxCreate_v2"), proc("cuCtxCreate", 11000));
  EXPECT_EQ(exported("cuCtxCreate_v3"), proc("cuCtxCreate", 12000));
  EXPECT_EQ(exported("cuCtxCreate_v4"), proc("cuCtxCreate", 13000));
  EXPECT_EQ(exported("cuGraphInstantiate_v2"), proc("cuGraphInstantiate", 12000));
  EXPECT_EQ(exported("cuGraphInstantiate_v2"), proc("cuGraphInstantiate", 11040));
  EXPECT_EQ(exported("cuGraphAddKernelNode"), proc("cuGraphAddKernelNode", 11000));
  EXPECT_EQ(exported("cuGraphAddKernelNode_v2"), proc("cuGraphAddKernelNode", 12000));
  EXPECT_EQ(exported("cuMemcpyBatchAsync"), proc("cuMemcpyBatchAsync", 12080));
  EXPECT_EQ(exported("cuGetProcAddress_v2"), proc("cuGetProcAddress", 12000));
  EXPECT_EQ(CU_GET_PROC_ADDRESS_SUCCESS, status_);
}

TEST_F(DriverCallsTest, TheFlagsPickTheDefaultStream) {
  EXPECT_EQ(exported("cuMemcpyHtoD_v2"), proc("cuMemcpyHtoD", 13000));
  EXPECT_EQ(exported("cuMemcpyHtoD_v2"), proc("cuMemcpyHtoD", 13000, CU_GET_PROC_ADDRESS_LEGACY_STREAM));
  EXPECT_EQ(exported("cuMemcpyHtoD_v2_ptds"),
            proc("cuMemcpyHtoD", 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM));
  EXPECT_EQ(exported("cuLaunchKernel_ptsz"),
            proc("cuLaunchKernel", 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM));
  EXPECT_EQ(exported("cuMemAlloc_v2"), proc("cuMemAlloc", 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM));
  auto per_thread = reinterpret_cast<decltype(&cuGetProcAddress)>(exported("cuGetProcAddress_v2_ptsz"));
  void* address = nullptr;
  OK(per_thread("cuLaunchKernel", &address, 13000, 0, nullptr));
  EXPECT_EQ(exported("cuLaunchKernel_ptsz"), address);
}

TEST_F(DriverCallsTest, UnknownNamesAndOldVersionsAreNotFound) {
  EXPECT_EQ(nullptr, proc("cuNothingOfTheKind", 13000));
  EXPECT_EQ(CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND, status_);
  EXPECT_EQ(nullptr, proc("cuMemAlloc_v2", 13000));
  EXPECT_EQ(nullptr, proc("cuMemAllocAsync", 11000));
  EXPECT_EQ(CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT, status_);
  auto first = reinterpret_cast<CUresult (*)(const char*, void**, int, cuuint64_t)>(exported("cuGetProcAddress"));
  void* address = this;
  EXPECT_EQ(CUDA_ERROR_NOT_FOUND, first("cuNothingOfTheKind", &address, 13000, 0));
  EXPECT_EQ(nullptr, address);
}

TEST_F(DriverCallsTest, WhatIsNotSimulatedExistsAndRefuses) {
  CUdeviceptr address = 0;
  auto old_form = reinterpret_cast<decltype(&cuMemAlloc)>(proc("cuMemAlloc", 3010));
  EXPECT_EQ(exported("cuMemAlloc"), reinterpret_cast<void*>(old_form));
  EXPECT_EQ(CUDA_ERROR_NOT_SUPPORTED, old_form(&address, 4096));
  CUgraphicsResource resource = nullptr;
  EXPECT_EQ(CUDA_ERROR_NOT_SUPPORTED, cuGraphicsUnregisterResource(resource));
}

TEST_F(DriverCallsTest, ThePerThreadFormUsesThePerThreadStream) {
  CUdeviceptr data = 0;
  OK(cuMemAlloc(&data, 16));
  OK(cuMemsetD8(data, 0, 16));
  OK(cuCtxSynchronize());
  CUstream blocked = nullptr;
  OK(cuStreamCreate(&blocked, CU_STREAM_DEFAULT));
  OK(slow_add(data, 1, 200000, blocked));
  auto launch = reinterpret_cast<decltype(&cuLaunchKernel)>(exported("cuLaunchKernel_ptsz"));
  auto synchronize = reinterpret_cast<decltype(&cuStreamSynchronize)>(exported("cuStreamSynchronize_ptsz"));
  CUdeviceptr address = data + 4;
  uint32_t value = 1;
  uint64_t count = 1;
  void* params[] = {&address, &value, &count};
  OK(launch(add_, 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr));
  OK(synchronize(nullptr));
  EXPECT_EQ(CUDA_ERROR_NOT_READY, cuStreamQuery(blocked));
}

TEST_F(DriverCallsTest, ModulesHaveGlobalsOfTheirOwn) {
  CUmodule twin = nullptr;
  OK(cuModuleLoad(&twin, LORETOKEN_TEST_MODULE));
  CUdeviceptr first = 0, second = 0;
  size_t size = 0;
  OK(cuModuleGetGlobal(&first, &size, module_, "counter"));
  OK(cuModuleGetGlobal(&second, nullptr, twin, "counter"));
  EXPECT_NE(first, second);
  EXPECT_EQ(4u, size);
  CUfunction bump = nullptr;
  OK(cuModuleGetFunction(&bump, twin, "bump"));
  OK(cuLaunchKernel(bump, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
  EXPECT_EQ(8u, read(second));
  EXPECT_EQ(7u, read(first));
  const uint32_t value = 20;
  OK(cuMemcpyHtoD(first, &value, 4));
  EXPECT_EQ(20u, read(first));
  OK(cuModuleUnload(twin));
  EXPECT_EQ(CUDA_ERROR_INVALID_HANDLE, cuModuleGetFunction(&bump, twin, "bump"));
  EXPECT_EQ(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&bump, module_, "absent"));
}

TEST_F(DriverCallsTest, ImagesOfOtherKindsAreTold) {
  CUmodule module = nullptr;
  alignas(8) char ptx[256] = "//\n.version 8.0\n.target sm_90\n";
  alignas(8) char garbage[256] = "what is this";
  EXPECT_EQ(CUDA_ERROR_NO_BINARY_FOR_GPU, cuModuleLoadData(&module, ptx));
  EXPECT_EQ(CUDA_ERROR_INVALID_IMAGE, cuModuleLoadData(&module, garbage));
  EXPECT_EQ(CUDA_ERROR_FILE_NOT_FOUND, cuModuleLoad(&module, "/nonexistent/module"));
}

TEST_F(DriverCallsTest, LibrariesGiveKernelsThatLaunch) {
  std::ifstream file(LORETOKEN_TEST_MODULE, std::ios::binary);
  const std::string image{std::istreambuf_iterator<char>(file), {}};
  CUlibrary library = nullptr;
  CUkernel kernel = nullptr;
  OK(cuLibraryLoadData(&library, image.data(), nullptr, nullptr, 0, nullptr, nullptr, 0));
  OK(cuLibraryGetKernel(&kernel, library, "add"));
  size_t offset = 0, size = 0;
  OK(cuKernelGetParamInfo(kernel, 2, &offset, &size));
  EXPECT_EQ(16u, offset);
  EXPECT_EQ(8u, size);
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuKernelGetParamInfo(kernel, 3, &offset, &size));
  CUdeviceptr data = 0;
  OK(cuMemAlloc(&data, 16));
  OK(cuMemsetD32(data, 1, 1));
  struct {
    CUdeviceptr data;
    uint32_t value, pad;
    uint64_t count;
  } buffer{data, 5, 0, 1};
  size_t bytes = sizeof buffer;
  void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &buffer, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
  OK(cuLaunchKernel(reinterpret_cast<CUfunction>(kernel), 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, extra));
  EXPECT_EQ(6u, read(data));
}

TEST_F(DriverCallsTest, LaunchesAreChecked) {
  CUdeviceptr data = 0;
  uint32_t value = 0;
  uint64_t count = 0;
  void* params[] = {&data, &value, &count};
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(add_, 1, 1, 1, 1025, 1, 1, 0, nullptr, params, nullptr));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(add_, 0, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(add_, 1, 65536, 1, 1, 1, 1, 0, nullptr, params, nullptr));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(add_, 1, 1, 1, 1, 1, 1, 1 << 20, nullptr, params, nullptr));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(add_, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
  EXPECT_EQ(CUDA_ERROR_INVALID_HANDLE, cuLaunchKernel(nullptr, 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr));
}

TEST_F(DriverCallsTest, ContextsAreAStack) {
  CUcontext second = nullptr, current = nullptr;
  OK(cuCtxCreate(&second, nullptr, 0, 1));
  CUdevice device = -1;
  OK(cuCtxGetDevice(&device));
  EXPECT_EQ(1, device);
  OK(cuCtxPopCurrent(&current));
  EXPECT_EQ(second, current);
  OK(cuCtxGetCurrent(&current));
  EXPECT_EQ(ctx_, current);
  OK(cuCtxDestroy(second));
  EXPECT_EQ(CUDA_ERROR_INVALID_CONTEXT, cuCtxPushCurrent(second));
}

TEST_F(DriverCallsTest, PrimaryContextsAreCounted) {
  CUcontext first = nullptr, again = nullptr;
  unsigned flags = 0;
  int active = 1;
  OK(cuDevicePrimaryCtxGetState(1, &flags, &active));
  EXPECT_EQ(0, active);
  OK(cuDevicePrimaryCtxRetain(&first, 1));
  OK(cuDevicePrimaryCtxRetain(&again, 1));
  EXPECT_EQ(first, again);
  OK(cuDevicePrimaryCtxRelease(1));
  OK(cuDevicePrimaryCtxGetState(1, &flags, &active));
  EXPECT_EQ(1, active);
  OK(cuDevicePrimaryCtxRelease(1));
  EXPECT_EQ(CUDA_ERROR_INVALID_CONTEXT, cuDevicePrimaryCtxRelease(1));
}

TEST_F(DriverCallsTest, ErrorsHaveNames) {
  const char* text = nullptr;
  OK(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
  EXPECT_STREQ("CUDA_ERROR_ILLEGAL_ADDRESS", text);
  OK(cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text));
  EXPECT_STREQ("out of memory", text);
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuGetErrorName(static_cast<CUresult>(12345), &text));
  EXPECT_EQ(nullptr, text);
}

TEST(WithoutContextTest, CallsSayThatThereIsNone) {
  ASSERT_EQ(CUDA_SUCCESS, cuInit(0));
  CUdeviceptr data = 0;
  EXPECT_EQ(CUDA_ERROR_INVALID_CONTEXT, cuMemAlloc(&data, 16));
  EXPECT_EQ(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(reinterpret_cast<CUdevice*>(&data), 99));
}

}  // namespace loretoken::sim::testing
