// Virtual memory management, as measured on an H200.
#include "fixture.h"

namespace loretoken::sim::testing {

class VmmTest : public DriverTest {
 protected:
  CUdeviceptr reserve(size_t size) {
    CUdeviceptr base = 0;
    EXPECT_EQ(CUDA_SUCCESS, cuMemAddressReserve(&base, size, 0, 0, 0));
    return base;
  }
  CUmemGenericAllocationHandle create(size_t size) {
    CUmemGenericAllocationHandle handle = 0;
    const auto prop = device_memory();
    EXPECT_EQ(CUDA_SUCCESS, cuMemCreate(&handle, size, &prop, 0));
    return handle;
  }
  CUresult allow(CUdeviceptr base, size_t size) {
    const auto access = read_write();
    return cuMemSetAccess(base, size, &access, 1);
  }
};

TEST_F(VmmTest, OneHandleAtTwoAddressesIsOneMemory) {
  const CUdeviceptr base = reserve(2 * kPage);
  const auto handle = create(kPage);
  OK(cuMemMap(base, kPage, 0, handle, 0));
  OK(cuMemMap(base + kPage, kPage, 0, handle, 0));
  OK(allow(base, 2 * kPage));
  OK(cuMemsetD32(base, 41, 1));
  OK(add(base, 1, 1, nullptr));
  EXPECT_EQ(42u, read(base + kPage));
  OK(cuMemUnmap(base, 2 * kPage));
  OK(cuMemRelease(handle));
  OK(cuMemAddressFree(base, 2 * kPage));
}

TEST_F(VmmTest, AHandleMapsWholeOrNotAtAll) {
  const CUdeviceptr base = reserve(4 * kPage);
  const auto handle = create(2 * kPage);
  EXPECT_EQ(CUDA_ERROR_NOT_SUPPORTED, cuMemMap(base, kPage, 0, handle, 0));
  EXPECT_EQ(CUDA_ERROR_NOT_SUPPORTED, cuMemMap(base, kPage, kPage, handle, 0));
  EXPECT_EQ(CUDA_ERROR_NOT_SUPPORTED, cuMemMap(base, 4 * kPage, 0, handle, 0));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemMap(base + 4096, 2 * kPage, 0, handle, 0));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemMap(base + 3 * kPage, 2 * kPage, 0, handle, 0));  // leaves the reservation
  OK(cuMemMap(base, 2 * kPage, 0, handle, 0));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemMap(base + kPage, 2 * kPage, 0, handle, 0));  // mapped already
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemUnmap(base, kPage));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, allow(base, kPage));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemAddressFree(base, 4 * kPage));
  OK(cuMemUnmap(base, 2 * kPage));
  OK(cuMemUnmap(base, 2 * kPage));  // nothing is mapped there
  OK(cuMemRelease(handle));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemRelease(handle));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemAddressFree(base, 2 * kPage));
  OK(cuMemAddressFree(base, 4 * kPage));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemUnmap(base, 2 * kPage));  // not reserved
}

TEST_F(VmmTest, SizesComeInUnitsOfTheGranularity) {
  const auto prop = device_memory();
  CUmemGenericAllocationHandle handle = 0;
  size_t unit = 0;
  OK(cuMemGetAllocationGranularity(&unit, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
  EXPECT_EQ(kPage, unit);
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemCreate(&handle, kPage + 4096, &prop, 0));
  CUdeviceptr base = 0;
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemAddressReserve(&base, 4096, 0, 0, 0));
}

TEST_F(VmmTest, ReleasedButMappedMemoryStillCounts) {
  size_t before = 0, during = 0, after = 0, total = 0;
  OK(cuMemGetInfo(&before, &total));
  const CUdeviceptr base = reserve(kPage);
  const auto handle = create(kPage);
  OK(cuMemMap(base, kPage, 0, handle, 0));
  OK(cuMemRelease(handle));
  OK(cuMemGetInfo(&during, &total));
  EXPECT_EQ(before - kPage, during);
  OK(cuMemUnmap(base, kPage));
  OK(cuMemGetInfo(&after, &total));
  EXPECT_EQ(before, after);
  OK(cuMemAddressFree(base, kPage));
}

TEST_F(VmmTest, CapacityIsEnforcedAndHostMemoryIsNotCounted) {
  size_t free = 0, total = 0;
  OK(cuMemGetInfo(&free, &total));
  auto prop = device_memory();
  CUmemGenericAllocationHandle handle = 0;
  EXPECT_EQ(CUDA_ERROR_OUT_OF_MEMORY, cuMemCreate(&handle, total + kPage, &prop, 0));
  prop.location = {CU_MEM_LOCATION_TYPE_HOST_NUMA, 0};
  OK(cuMemCreate(&handle, kPage, &prop, 0));
  size_t now = 0;
  OK(cuMemGetInfo(&now, &total));
  EXPECT_EQ(free, now);
  OK(cuMemRelease(handle));
}

TEST_F(VmmTest, FreshMemoryIsNotZero) {
  const CUdeviceptr base = reserve(kPage);
  const auto handle = create(kPage);
  OK(cuMemMap(base, kPage, 0, handle, 0));
  OK(allow(base, kPage));
  EXPECT_NE(0u, read(base));
  OK(cuMemUnmap(base, kPage));
  OK(cuMemRelease(handle));
}

TEST_F(VmmTest, AccessMustBeSet) {
  const CUdeviceptr base = reserve(kPage);
  const auto handle = create(kPage);
  OK(cuMemMap(base, kPage, 0, handle, 0));
  OK(add(base, 1, 1, nullptr));
  EXPECT_EQ(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
}

TEST_F(VmmTest, UnmappingDoesNotWaitAndTakesTheMemoryFromRunningWork) {
  const CUdeviceptr base = reserve(kPage);
  const auto handle = create(kPage);
  OK(cuMemMap(base, kPage, 0, handle, 0));
  OK(allow(base, kPage));
  CUstream stream = nullptr;
  OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  OK(slow_add(base, 1, 200000, stream));
  OK(cuMemUnmap(base, kPage));
  EXPECT_EQ(CUDA_ERROR_NOT_READY, cuStreamQuery(stream));  // it returned while the kernel ran
  EXPECT_EQ(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamSynchronize(stream));
}

TEST_F(VmmTest, CopiesToUnmappedAddressesAreRefusedAtTheCall) {
  const CUdeviceptr base = reserve(kPage);
  const uint32_t value = 1;
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(base, &value, 4));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemcpy(base, reinterpret_cast<CUdeviceptr>(&value), 4));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(base, 1, 1));
  OK(cuCtxSynchronize());
}

TEST_F(VmmTest, AFaultIsStickyInItsContextOnly) {
  const CUdeviceptr base = reserve(kPage);
  OK(add(base, 1, 1, nullptr));
  EXPECT_EQ(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
  CUdeviceptr other = 0;
  EXPECT_EQ(CUDA_ERROR_ILLEGAL_ADDRESS, cuMemAlloc(&other, 16));
  EXPECT_EQ(CUDA_ERROR_ILLEGAL_ADDRESS, cuStreamQuery(nullptr));
  CUcontext second = nullptr;
  OK(cuCtxCreate(&second, nullptr, 0, 0));
  OK(cuMemAlloc(&other, 16));
  OK(cuCtxDestroy(second));
}

TEST_F(VmmTest, HandlesTravelAsFileDescriptors) {
  auto prop = device_memory();
  prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  CUmemGenericAllocationHandle handle = 0, twin = 0;
  OK(cuMemCreate(&handle, kPage, &prop, 0));
  int fd = -1;
  OK(cuMemExportToShareableHandle(&fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
  OK(cuMemImportFromShareableHandle(&twin, reinterpret_cast<void*>(static_cast<intptr_t>(fd)),
                                    CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
  const CUdeviceptr base = reserve(kPage);
  OK(cuMemMap(base, kPage, 0, twin, 0));
  OK(allow(base, kPage));
  CUmemGenericAllocationHandle kept = 0;
  OK(cuMemRetainAllocationHandle(&kept, reinterpret_cast<void*>(base + 64)));
  EXPECT_EQ(twin, kept);
  unsigned long long flags = 0;
  const CUmemLocation here{CU_MEM_LOCATION_TYPE_DEVICE, 0};
  OK(cuMemGetAccess(&flags, &here, base));
  EXPECT_EQ(static_cast<unsigned long long>(CU_MEM_ACCESS_FLAGS_PROT_READWRITE), flags);
  OK(cuMemUnmap(base, kPage));
  const auto plain = create(kPage);
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE,
            cuMemExportToShareableHandle(&fd, plain, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
}

}  // namespace loretoken::sim::testing
