// Plain, pooled, pinned and managed memory; copies; pointer queries.
#include "fixture.h"

namespace loretoken::sim::testing {

class MemoryTest : public DriverTest {
 protected:
  void SetUp() override {
    DriverTest::SetUp();
    OK(cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING));
    OK(cuDeviceGetDefaultMemPool(&pool_, 0));
  }
  uint64_t attribute(CUmemPool_attribute which) {
    cuuint64_t value = 0;
    EXPECT_EQ(CUDA_SUCCESS, cuMemPoolGetAttribute(pool_, which, &value));
    return value;
  }
  size_t free_bytes() {
    size_t free = 0, total = 0;
    EXPECT_EQ(CUDA_SUCCESS, cuMemGetInfo(&free, &total));
    return free;
  }
  CUstream stream_ = nullptr;
  CUmemoryPool pool_ = nullptr;
};

TEST_F(MemoryTest, CapacityIsEnforced) {
  const size_t free = free_bytes();
  CUdeviceptr all = 0, more = 0;
  OK(cuMemAlloc(&all, free));
  EXPECT_EQ(0u, free_bytes());
  EXPECT_EQ(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&more, 1));
  EXPECT_EQ(CUDA_ERROR_OUT_OF_MEMORY, cuMemAllocAsync(&more, 1, stream_));
  OK(cuMemFree(all));
  EXPECT_EQ(free, free_bytes());
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemAlloc(&all, 0));
}

TEST_F(MemoryTest, FreedMemoryFaults) {
  CUdeviceptr data = 0;
  OK(cuMemAlloc(&data, 4 * kPage));
  OK(cuMemFree(data));
  OK(add(data, 1, 1, nullptr));
  EXPECT_EQ(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
}

TEST_F(MemoryTest, PoolsKeepUpToTheirThreshold) {
  CUdeviceptr data = 0;
  const size_t free = free_bytes();
  OK(cuMemAllocAsync(&data, 4 * kPage, stream_));
  EXPECT_EQ(4 * kPage, attribute(CU_MEMPOOL_ATTR_USED_MEM_CURRENT));
  OK(cuMemFreeAsync(data, stream_));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemFreeAsync(data, stream_));
  OK(cuStreamSynchronize(stream_));
  EXPECT_EQ(0u, attribute(CU_MEMPOOL_ATTR_USED_MEM_CURRENT));
  EXPECT_EQ(0u, attribute(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT));
  EXPECT_EQ(free, free_bytes());
  cuuint64_t keep = UINT64_MAX;
  OK(cuMemPoolSetAttribute(pool_, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
  OK(cuMemAllocAsync(&data, 4 * kPage, stream_));
  OK(cuMemFreeAsync(data, stream_));
  OK(cuStreamSynchronize(stream_));
  EXPECT_EQ(kChunk, attribute(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT));
  EXPECT_EQ(free - kChunk, free_bytes());
  OK(cuMemPoolTrimTo(pool_, 0));
  EXPECT_EQ(free, free_bytes());
  keep = 0;
  OK(cuMemPoolSetAttribute(pool_, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
}

TEST_F(MemoryTest, AFreeTakesEffectInStreamOrder) {
  CUdeviceptr data = 0;
  OK(cuMemAllocAsync(&data, 4 * kPage, stream_));
  OK(add(data, 1, 1, stream_));
  OK(cuMemFreeAsync(data, stream_));
  OK(cuStreamSynchronize(stream_));  // the kernel before the free was fine
  OK(add(data, 1, 1, stream_));
  EXPECT_EQ(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamSynchronize(stream_));
}

TEST_F(MemoryTest, AnotherStreamMustWaitForTheAllocation) {
  CUdeviceptr spot = 0, data = 0;
  CUstream other = nullptr;
  OK(cuMemAlloc(&spot, 16));
  OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
  OK(slow_add(spot, 1, 50000, stream_));
  OK(cuMemAllocAsync(&data, 4 * kPage, stream_));
  OK(add(data, 1, 1, other));
  EXPECT_EQ(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamSynchronize(other));
}

TEST_F(MemoryTest, PointersAreKnownByTheirAllocation) {
  CUdeviceptr data = 0, base = 0;
  size_t size = 0;
  OK(cuMemAlloc(&data, 1000));
  OK(cuMemGetAddressRange(&base, &size, data + 999));
  EXPECT_EQ(data, base);
  EXPECT_EQ(1000u, size);
  EXPECT_EQ(CUDA_ERROR_NOT_FOUND, cuMemGetAddressRange(&base, &size, 16));
  CUmemorytype type{};
  OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, data));
  EXPECT_EQ(CU_MEMORYTYPE_DEVICE, type);
  int local = 0;
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE,
            cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, reinterpret_cast<CUdeviceptr>(&local)));
  CUpointer_attribute which[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
  int ordinal = 0;
  void* out[] = {&type, &ordinal};
  OK(cuPointerGetAttributes(2, which, out, reinterpret_cast<CUdeviceptr>(&local)));
  EXPECT_EQ(0, static_cast<int>(type));
  EXPECT_EQ(CU_DEVICE_INVALID, ordinal);
}

TEST_F(MemoryTest, IpcHandlesArePlainMemoryOnly) {
  CUdeviceptr data = 0, base = 0;
  CUipcMemHandle handle{};
  OK(cuMemAlloc(&data, 1000));
  OK(cuIpcGetMemHandle(&handle, data));
  OK(cuMemAddressReserve(&base, kPage, 0, 0, 0));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuIpcGetMemHandle(&handle, base));
}

TEST_F(MemoryTest, BoxesKeepTheirPitch) {
  CUdeviceptr data = 0;
  size_t pitch = 0;
  OK(cuMemAllocPitch(&data, &pitch, 100, 4, 4));
  EXPECT_EQ(0u, pitch % 512);
  std::vector<unsigned char> in(400), out(400);
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<unsigned char>(i);
  CUDA_MEMCPY2D up{};
  up.srcMemoryType = CU_MEMORYTYPE_HOST;
  up.srcHost = in.data();
  up.srcPitch = 100;
  up.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  up.dstDevice = data;
  up.dstPitch = pitch;
  up.WidthInBytes = 100;
  up.Height = 4;
  OK(cuMemcpy2D(&up));
  for (int row = 0; row < 4; ++row)
    OK(cuMemcpyDtoH(&out[static_cast<size_t>(row) * 100], data + static_cast<size_t>(row) * pitch, 100));
  EXPECT_EQ(in, out);
  up.dstPitch = 50;
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(&up));
}

TEST_F(MemoryTest, ArraysTakeAndGiveRows) {
  CUDA_ARRAY_DESCRIPTOR shape{64, 2, CU_AD_FORMAT_FLOAT, 1}, seen{};
  CUarray array = nullptr;
  OK(cuArrayCreate(&array, &shape));
  OK(cuArrayGetDescriptor(&seen, array));
  EXPECT_EQ(64u, seen.Width);
  std::vector<float> in(64, 1.5f), out(64);
  OK(cuMemcpyHtoA(array, 0, in.data(), 256));
  OK(cuMemcpyAtoH(out.data(), array, 0, 256));
  EXPECT_EQ(in, out);
  CUDA_RESOURCE_DESC resource{};
  resource.resType = CU_RESOURCE_TYPE_ARRAY;
  resource.res.array.hArray = array;
  CUDA_TEXTURE_DESC texture{};
  CUtexObject object = 0;
  OK(cuTexObjectCreate(&object, &resource, &texture, nullptr));
  OK(cuTexObjectDestroy(object));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuTexObjectDestroy(object));
  OK(cuArrayDestroy(array));
}

TEST_F(MemoryTest, CopiesThatLeaveTheirAllocationAreRefused) {
  CUdeviceptr data = 0;
  char host[64] = {};
  OK(cuMemAlloc(&data, 32));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(data, host, 64));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(0x1000, host, 4));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemsetD8(data + 16, 0, 32));
}

TEST_F(MemoryTest, ManagedMemoryIsReachedFromBothSides) {
  CUdeviceptr data = 0;
  OK(cuMemAllocManaged(&data, 64, CU_MEM_ATTACH_GLOBAL));
  *reinterpret_cast<uint32_t*>(data) = 4;
  OK(add(data, 1, 1, nullptr));
  OK(cuCtxSynchronize());
  EXPECT_EQ(5u, *reinterpret_cast<uint32_t*>(data));
  OK(cuMemFree(data));
}

}  // namespace loretoken::sim::testing
