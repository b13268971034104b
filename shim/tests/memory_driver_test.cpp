// The memory hooks on the simulated driver: an enlarged card, answered for as if every allocation were plain.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "driver/driver.h"
#include "hooks/hooks.h"
#include "memory/heap.h"
#include "memory/page_table.h"
#include "memory/physical.h"
#include "memory_sizes.h"
#include "reach/host_ranges.h"
#include "runtime/runtime.h"

namespace loretoken {
namespace {

class MemoryDriver : public testing::Test {
 protected:
  void SetUp() override {
    static CUcontext context = nullptr;
    if (context == nullptr) {
      setenv("LORETOKEN_LIMIT", "192MiB", 1);
      setenv("LORETOKEN_VIRTUAL", "512MiB", 1);
      setenv("LORETOKEN_HOST", "512MiB", 1);
      setenv("LORETOKEN_KERNELS", LORETOKEN_SIM_KERNELS, 1);
      setenv("LORETOKEN_SIM_DEVICES", "256MiB", 1);
      ASSERT_TRUE(load_driver(LORETOKEN_SIM_DRIVER));
      ASSERT_EQ(driver().cuInit(0), CUDA_SUCCESS);
      ASSERT_EQ(driver().cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
    }
    ASSERT_EQ(driver().cuCtxSetCurrent(context), CUDA_SUCCESS);
    ASSERT_NE(Runtime::get(), nullptr);
    context_ = context;
    ASSERT_EQ(driver().cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
  }
  void TearDown() override { EXPECT_EQ(driver().cuStreamSynchronize(stream_), CUDA_SUCCESS); }

  CUdeviceptr allocate(uint64_t bytes) {
    CUdeviceptr at = 0;
    EXPECT_EQ(hooks::cuMemAlloc_v2(&at, bytes), CUDA_SUCCESS);
    EXPECT_TRUE(window().contains(at)) << "not served by the shim";
    return at;
  }
  DeviceRuntime& device() { return *Runtime::get()->device(0); }
  template <class T>
  T attribute(CUpointer_attribute attribute, CUdeviceptr at) {
    T value{};
    EXPECT_EQ(hooks::cuPointerGetAttribute(&value, attribute, at), CUDA_SUCCESS) << attribute;
    return value;
  }
  uint64_t free_bytes() {
    size_t free = 0;
    size_t total = 0;
    EXPECT_EQ(hooks::cuMemGetInfo_v2(&free, &total), CUDA_SUCCESS);
    EXPECT_EQ(total, 512 * kMiB);
    return free;
  }

  CUcontext context_ = nullptr;
  CUstream stream_ = nullptr;
};

TEST_F(MemoryDriver, HoldsMoreThanTheLimitAndRefusesWhatIsOverTheVirtualSize) {
  std::vector<CUdeviceptr> all;
  for (unsigned i = 0; i < 20; ++i) {
    all.push_back(allocate(20 * kMiB));
    ASSERT_EQ(hooks::cuMemsetD32_v2(all.back(), 0x1000 + i, 5 * kMiB, false), CUDA_SUCCESS);
  }
  EXPECT_EQ(free_bytes(), 112 * kMiB);
  CUdeviceptr more = 0;
  EXPECT_EQ(hooks::cuMemAlloc_v2(&more, 113 * kMiB), CUDA_ERROR_OUT_OF_MEMORY);
  std::vector<uint32_t> bytes(5 * kMiB);
  for (unsigned i = 0; i < 20; ++i) {
    ASSERT_EQ(hooks::cuMemcpyDtoH_v2(bytes.data(), all[i], 20 * kMiB, false), CUDA_SUCCESS);
    ASSERT_EQ(std::count(bytes.begin(), bytes.end(), 0x1000 + i), static_cast<long>(bytes.size())) << i;
    EXPECT_LE(device().physical->held(), 192 * kMiB);
  }
  for (const CUdeviceptr at : all) EXPECT_EQ(hooks::cuMemFree_v2(at), CUDA_SUCCESS);
  EXPECT_EQ(free_bytes(), 512 * kMiB);
  EXPECT_EQ(hooks::cuMemFree_v2(all[0]), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(MemoryDriver, AnswersPerAllocationNotPerReservation) {
  const CUdeviceptr a = allocate(3 * kMiB + 100);
  const CUdeviceptr b = allocate(3 * kMiB);
  CUdeviceptr base = 0;
  size_t size = 0;
  ASSERT_EQ(hooks::cuMemGetAddressRange_v2(&base, &size, a + kMiB), CUDA_SUCCESS);
  EXPECT_EQ(base, a);
  EXPECT_EQ(size, 3 * kMiB + 100);
  EXPECT_EQ(hooks::cuMemGetAddressRange_v2(nullptr, &size, b), CUDA_SUCCESS);
  EXPECT_EQ(size, 3 * kMiB);
  EXPECT_EQ(attribute<CUdeviceptr>(CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, a + 5), a);
  EXPECT_EQ(attribute<size_t>(CU_POINTER_ATTRIBUTE_RANGE_SIZE, a + 5), 3 * kMiB + 100);
  EXPECT_EQ(attribute<CUcontext>(CU_POINTER_ATTRIBUTE_CONTEXT, a), context_);
  EXPECT_EQ(attribute<unsigned>(CU_POINTER_ATTRIBUTE_MEMORY_TYPE, a), unsigned{CU_MEMORYTYPE_DEVICE});
  EXPECT_EQ(attribute<int>(CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, a), 0);
  EXPECT_EQ(attribute<unsigned>(CU_POINTER_ATTRIBUTE_IS_MANAGED, a), 0u);
  const auto id = attribute<unsigned long long>(CU_POINTER_ATTRIBUTE_BUFFER_ID, a);
  EXPECT_EQ(attribute<unsigned long long>(CU_POINTER_ATTRIBUTE_BUFFER_ID, a + 77), id);
  EXPECT_NE(attribute<unsigned long long>(CU_POINTER_ATTRIBUTE_BUFFER_ID, b), id);
  void* host = nullptr;
  EXPECT_EQ(hooks::cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_HOST_POINTER, a), CUDA_ERROR_INVALID_VALUE);

  unsigned type = 9;
  host = &host;
  CUpointer_attribute wanted[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_HOST_POINTER};
  void* data[] = {&type, &host};
  EXPECT_EQ(hooks::cuPointerGetAttributes(2, wanted, data, a), CUDA_SUCCESS);
  EXPECT_EQ(type, unsigned{CU_MEMORYTYPE_DEVICE});
  EXPECT_EQ(host, nullptr);
  EXPECT_EQ(hooks::cuMemFree_v2(a), CUDA_SUCCESS);
  EXPECT_EQ(hooks::cuMemGetAddressRange_v2(&base, &size, a), CUDA_ERROR_NOT_FOUND);
  const CUdeviceptr again = allocate(3 * kMiB + 100);
  EXPECT_NE(attribute<unsigned long long>(CU_POINTER_ATTRIBUTE_BUFFER_ID, again), id) << "an id is never used twice";
  EXPECT_EQ(hooks::cuMemFree_v2(again), CUDA_SUCCESS);
  EXPECT_EQ(hooks::cuMemFree_v2(b), CUDA_SUCCESS);
}

TEST_F(MemoryDriver, NullAndForeignArgumentsGetTheDriversAnswer) {
  EXPECT_EQ(hooks::cuMemAlloc_v2(nullptr, 4096), driver().cuMemAlloc_v2(nullptr, 4096));
  CUdeviceptr at = 0;
  EXPECT_EQ(hooks::cuMemAlloc_v2(&at, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(hooks::cuMemFree_v2(0), driver().cuMemFree_v2(0));
  EXPECT_EQ(hooks::cuMemFree_v2(0x1000), driver().cuMemFree_v2(0x1000));
  EXPECT_EQ(hooks::cuMemGetInfo_v2(nullptr, nullptr), driver().cuMemGetInfo_v2(nullptr, nullptr));
  unsigned type = 0;
  EXPECT_EQ(hooks::cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, 0x1000),
            driver().cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, 0x1000));
}

TEST_F(MemoryDriver, PoolsServeFromTheReservationAndAnswerTheirStatistics) {
  CUmemoryPool pool = nullptr;
  ASSERT_EQ(driver().cuDeviceGetDefaultMemPool(&pool, 0), CUDA_SUCCESS);
  allocate(1000);
  cuuint64_t before = 0;
  ASSERT_EQ(hooks::cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &before), CUDA_SUCCESS);
  CUdeviceptr at = 0;
  ASSERT_EQ(hooks::cuMemAllocAsync(&at, 5 * kMiB, stream_, false), CUDA_SUCCESS);
  EXPECT_TRUE(window().contains(at));
  cuuint64_t value = 0;
  ASSERT_EQ(hooks::cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &value), CUDA_SUCCESS);
  EXPECT_EQ(value, before + 5 * kMiB);
  ASSERT_EQ(hooks::cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &value), CUDA_SUCCESS);
  EXPECT_GE(value, before + 5 * kMiB);
  EXPECT_EQ(attribute<CUmemoryPool>(CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, at), pool);
  ASSERT_EQ(hooks::cuMemFreeAsync(at, stream_, false), CUDA_SUCCESS);
  CUdeviceptr again = 0;
  ASSERT_EQ(hooks::cuMemAllocAsync(&again, 5 * kMiB, stream_, false), CUDA_SUCCESS);
  EXPECT_EQ(again, at) << "the stream that freed it gets it back at once";
  ASSERT_EQ(hooks::cuMemFreeAsync(again, stream_, false), CUDA_SUCCESS);
  ASSERT_EQ(hooks::cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &value), CUDA_SUCCESS);
  EXPECT_GE(value, 5 * kMiB);
  value = 0;
  ASSERT_EQ(hooks::cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &value), CUDA_SUCCESS);
  ASSERT_EQ(hooks::cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &value), CUDA_SUCCESS);
  EXPECT_EQ(value, before);
  value = ~cuuint64_t{0};
  ASSERT_EQ(hooks::cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &value), CUDA_SUCCESS);
  value = 0;
  ASSERT_EQ(hooks::cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &value), CUDA_SUCCESS);
  EXPECT_EQ(value, ~cuuint64_t{0});
  EXPECT_EQ(hooks::cuMemPoolTrimTo(pool, 0), CUDA_SUCCESS);
}

TEST_F(MemoryDriver, ACreatedPoolIsServedToo) {
  CUmemPoolProps props = {};
  props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  CUmemoryPool pool = nullptr;
  ASSERT_EQ(hooks::cuMemPoolCreate(&pool, &props), CUDA_SUCCESS);
  CUdeviceptr at = 0;
  ASSERT_EQ(hooks::cuMemAllocFromPoolAsync(&at, 2 * kMiB, pool, stream_, false), CUDA_SUCCESS);
  EXPECT_TRUE(window().contains(at));
  ASSERT_EQ(hooks::cuMemFreeAsync(at, stream_, false), CUDA_SUCCESS);
  EXPECT_EQ(hooks::cuMemPoolDestroy(pool), CUDA_SUCCESS);
}

TEST_F(MemoryDriver, ACaptureGetsTheGraphsMemoryAndCannotFreeOurs) {
  const CUdeviceptr ours = allocate(2 * kMiB);
  ASSERT_EQ(hooks::cuStreamBeginCapture_v2(stream_, CU_STREAM_CAPTURE_MODE_RELAXED, false), CUDA_SUCCESS);
  CUdeviceptr at = 0;
  ASSERT_EQ(hooks::cuMemAllocAsync(&at, 2 * kMiB, stream_, false), CUDA_SUCCESS);
  EXPECT_FALSE(window().contains(at));
  EXPECT_EQ(hooks::cuMemFreeAsync(ours, stream_, false), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(hooks::cuMemFreeAsync(at, stream_, false), CUDA_SUCCESS);
  CUgraph graph = nullptr;
  EXPECT_EQ(hooks::cuStreamEndCapture(stream_, &graph, false), CUDA_SUCCESS);
  EXPECT_EQ(driver().cuGraphDestroy(graph), CUDA_SUCCESS);
  EXPECT_EQ(hooks::cuMemFree_v2(ours), CUDA_SUCCESS);
}

TEST_F(MemoryDriver, TheProgramsOwnMappingsCountUntilTheLastHoldOnThemIsGone) {
  allocate(1000);
  const uint64_t before = free_bytes();
  CUmemAllocationProp prop = {};
  prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  prop.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  CUmemGenericAllocationHandle handle = 0;
  ASSERT_EQ(hooks::cuMemCreate(&handle, 16 * kMiB, &prop, 0), CUDA_SUCCESS);
  EXPECT_EQ(device().physical->foreign(), 16 * kMiB);
  EXPECT_EQ(free_bytes(), before - 16 * kMiB);
  CUdeviceptr at = 0;
  ASSERT_EQ(driver().cuMemAddressReserve(&at, 16 * kMiB, 0, 0, 0), CUDA_SUCCESS);
  ASSERT_EQ(hooks::cuMemMap(at, 16 * kMiB, 0, handle, 0), CUDA_SUCCESS);
  CUmemAccessDesc access = {prop.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  EXPECT_FALSE(known_range_at(at).has_value()) << "a scan of it would fault";
  ASSERT_EQ(hooks::cuMemSetAccess(at, 16 * kMiB, &access, 1), CUDA_SUCCESS);
  EXPECT_TRUE(known_range_at(at).has_value());
  ASSERT_EQ(hooks::cuMemRelease(handle), CUDA_SUCCESS);
  EXPECT_EQ(device().physical->foreign(), 16 * kMiB) << "still mapped";
  ASSERT_EQ(hooks::cuMemRetainAllocationHandle(&handle, reinterpret_cast<void*>(at)), CUDA_SUCCESS);
  ASSERT_EQ(hooks::cuMemUnmap(at, 16 * kMiB), CUDA_SUCCESS);
  EXPECT_FALSE(known_range_at(at).has_value());
  EXPECT_EQ(device().physical->foreign(), 16 * kMiB) << "retained";
  ASSERT_EQ(hooks::cuMemRelease(handle), CUDA_SUCCESS);
  EXPECT_EQ(device().physical->foreign(), 0u);
  EXPECT_EQ(hooks::cuMemCreate(&handle, 1024 * kMiB, &prop, 0), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(driver().cuMemAddressFree(at, 16 * kMiB), CUDA_SUCCESS);
}

TEST_F(MemoryDriver, HostMemoryOfVmmIsNotOurs) {
  CUmemAllocationProp prop = {};
  prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  prop.location = {CU_MEM_LOCATION_TYPE_HOST_NUMA, 0};
  allocate(1000);
  const uint64_t before = device().physical->foreign();
  CUmemGenericAllocationHandle handle = 0;
  const CUresult result = hooks::cuMemCreate(&handle, 2 * kMiB, &prop, 0);
  EXPECT_EQ(device().physical->foreign(), before);
  if (result == CUDA_SUCCESS) {
    EXPECT_EQ(hooks::cuMemRelease(handle), CUDA_SUCCESS);
  }
}

TEST_F(MemoryDriver, OursHasNoHandleAndNoIpcHandleButReadAndWriteAccess) {
  const CUdeviceptr at = allocate(4 * kMiB);
  CUmemGenericAllocationHandle handle = 0;
  EXPECT_EQ(hooks::cuMemRetainAllocationHandle(&handle, reinterpret_cast<void*>(at)), CUDA_ERROR_INVALID_VALUE);
  CUipcMemHandle ipc = {};
  EXPECT_EQ(hooks::cuIpcGetMemHandle(&ipc, at), CUDA_ERROR_NOT_SUPPORTED);
  unsigned long long flags = 0;
  const CUmemLocation here = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  EXPECT_EQ(hooks::cuMemGetAccess(&flags, &here, at), CUDA_SUCCESS);
  EXPECT_EQ(flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
  EXPECT_EQ(hooks::cuMemFree_v2(at), CUDA_SUCCESS);
}

TEST_F(MemoryDriver, PinnedBuffersAreKnownFromAllocationToFree) {
  void* host = nullptr;
  ASSERT_EQ(hooks::cuMemHostAlloc(&host, 4096, CU_MEMHOSTALLOC_PORTABLE), CUDA_SUCCESS);
  const auto address = reinterpret_cast<uint64_t>(host);
  EXPECT_TRUE(known_range_at(address + 4095).has_value());
  ASSERT_EQ(hooks::cuMemFreeHost(host), CUDA_SUCCESS);
  EXPECT_FALSE(known_range_at(address).has_value());
  std::vector<char> pages(3 * 4096);
  void* start = reinterpret_cast<void*>((reinterpret_cast<uint64_t>(pages.data()) + 4095) & ~4095ull);
  ASSERT_EQ(hooks::cuMemHostRegister_v2(start, 4096, 0), CUDA_SUCCESS);
  EXPECT_TRUE(known_range_at(reinterpret_cast<uint64_t>(start)).has_value());
  ASSERT_EQ(hooks::cuMemHostUnregister(start), CUDA_SUCCESS);
  EXPECT_FALSE(known_range_at(reinterpret_cast<uint64_t>(start)).has_value());
}

TEST_F(MemoryDriver, PitchPadsRows) {
  CUdeviceptr at = 0;
  size_t pitch = 0;
  ASSERT_EQ(hooks::cuMemAllocPitch_v2(&at, &pitch, 1000, 600, 4), CUDA_SUCCESS);
  EXPECT_EQ(pitch, 1024u);
  EXPECT_EQ(attribute<size_t>(CU_POINTER_ATTRIBUTE_RANGE_SIZE, at), 1024u * 600u);
  EXPECT_EQ(hooks::cuMemAllocPitch_v2(&at, &pitch, 1000, 600, 3), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(hooks::cuMemFree_v2(at), CUDA_SUCCESS);
}

}  // namespace
}  // namespace loretoken
