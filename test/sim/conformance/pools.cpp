// Stream-ordered allocation and memory pools.
#include "report.h"

namespace conformance {

namespace {

std::string value_of(CUmemoryPool pool, CUmemPool_attribute attribute) {
  uint64_t value = 0;
  const CUresult status = CU(cuMemPoolGetAttribute)(pool, attribute, &value);
  const bool is_int = attribute <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES;
  if (status != CUDA_SUCCESS) return name_of(status);
  return std::to_string(is_int ? static_cast<uint32_t>(value) : value);
}

void attributes_of(const char* what, CUmemoryPool pool) {
  std::string text;
  for (int i = 1; i <= CU_MEMPOOL_ATTR_USED_MEM_HIGH; ++i)
    text += std::to_string(i) + "=" + value_of(pool, static_cast<CUmemPool_attribute>(i)) + " ";
  say(what, "%s", text.c_str());
}

CUresult set(CUmemoryPool pool, CUmemPool_attribute attribute, uint64_t value) {
  return CU(cuMemPoolSetAttribute)(pool, attribute, &value);
}

}  // namespace

void section_pools() {
  const CUstream stream = make_stream();
  CUmemoryPool standard = nullptr, current = nullptr, made = nullptr;
  result("default", CU(cuDeviceGetDefaultMemPool)(&standard, device()));
  result("current", CU(cuDeviceGetMemPool)(&current, device()));
  say("current_is_default", "%d", current == standard);
  attributes_of("fresh", standard);
  CUdeviceptr a = 0, b = 0;
  result("alloc(0)", CU(cuMemAllocAsync)(&a, 0, stream));
  result("alloc(null)", CU(cuMemAllocAsync)(nullptr, 256, stream));
  result("alloc(2^50)", CU(cuMemAllocAsync)(&a, size_t{1} << 50, stream));
  result("alloc", CU(cuMemAllocAsync)(&a, 3 * kMiB + 5, stream));
  say("aligned", "256: %d 512: %d", a % 256 == 0, a % 512 == 0);
  result("set before sync", CU(cuMemsetD8Async)(a, 5, 3 * kMiB, stream));
  result("sync", CU(cuStreamSynchronize)(stream));
  attributes_of("one of 3 MiB", standard);
  CUdeviceptr base = 0;
  size_t size = 0;
  result("range", CU(cuMemGetAddressRange)(&base, &size, a + 7));
  say("range", "base %+lld size %zu", static_cast<long long>(base - a), size);
  result("free", CU(cuMemFreeAsync)(a, stream));
  result("free again", CU(cuMemFreeAsync)(a, stream));
  result("free(0)", CU(cuMemFreeAsync)(0, stream));
  result("free(0x1234)", CU(cuMemFreeAsync)(0x1234, stream));
  CU(cuStreamSynchronize)(stream);
  attributes_of("freed, threshold 0", standard);
  result("set threshold", set(standard, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, ~0ull));
  CU(cuMemAllocAsync)(&a, 40 * kMiB, stream);
  CU(cuMemFreeAsync)(a, stream);
  CU(cuStreamSynchronize)(stream);
  attributes_of("freed, kept", standard);
  CU(cuMemAllocAsync)(&b, 40 * kMiB, stream);
  say("reuses the address", "%d", a == b);
  result("cuMemFree(async)", CU(cuMemFree)(b));
  attributes_of("freed by cuMemFree", standard);
  const CUdeviceptr plain = allocate(4096);
  result("freeAsync(plain)", CU(cuMemFreeAsync)(plain, stream));
  CU(cuStreamSynchronize)(stream);
  result("trim", CU(cuMemPoolTrimTo)(standard, 0));
  attributes_of("trimmed", standard);
  result("set high(0)", set(standard, CU_MEMPOOL_ATTR_USED_MEM_HIGH, 0));
  result("set high(1)", set(standard, CU_MEMPOOL_ATTR_USED_MEM_HIGH, 1));
  result("set reserved high(0)", set(standard, CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH, 0));
  result("set used current", set(standard, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, 0));
  result("set(bad)", set(standard, static_cast<CUmemPool_attribute>(99), 0));
  result("get(null)", CU(cuMemPoolGetAttribute)(standard, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, nullptr));
  result("destroy default", CU(cuMemPoolDestroy)(standard));

  CUmemPoolProps props{};
  result("create(empty)", CU(cuMemPoolCreate)(&made, &props));
  props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.location = {CU_MEM_LOCATION_TYPE_DEVICE, {99}};
  result("create(device 99)", CU(cuMemPoolCreate)(&made, &props));
  props.location.id = device();
  result("create(null)", CU(cuMemPoolCreate)(nullptr, &props));
  result("create", CU(cuMemPoolCreate)(&made, &props));
  attributes_of("made", made);
  result("alloc from pool", CU(cuMemAllocFromPoolAsync)(&a, kMiB, made, stream));
  CUmemoryPool owner = nullptr;
  result("owner", CU(cuPointerGetAttribute)(&owner, CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, a));
  say("owner_is_pool", "%d", owner == made);
  CUmemLocation location = {CU_MEM_LOCATION_TYPE_DEVICE, {device()}};
  CUmemAccess_flags flags{};
  result("get access", CU(cuMemPoolGetAccess)(&flags, made, &location));
  say("access", "%d", flags);
  CUmemAccessDesc access{location, CU_MEM_ACCESS_FLAGS_PROT_NONE};
  result("set access none", CU(cuMemPoolSetAccess)(made, &access, 1));
  CUmemPoolPtrExportData exported{};
  result("export pointer", CU(cuMemPoolExportPointer)(&exported, a));
  result("set current", CU(cuDeviceSetMemPool)(device(), made));
  CU(cuDeviceGetMemPool)(&current, device());
  say("current_is_made", "%d", current == made);
  result("destroy while used", CU(cuMemPoolDestroy)(made));
  CU(cuDeviceGetMemPool)(&current, device());
  say("current_is_default_again", "%d", current == standard);
  result("free after destroy", CU(cuMemFreeAsync)(a, stream));
  result("sync at end", CU(cuStreamSynchronize)(stream));
  props.maxSize = 32 * kMiB;
  result("create(max 32 MiB)", CU(cuMemPoolCreate)(&made, &props));
  result("alloc 64 MiB of 32", CU(cuMemAllocFromPoolAsync)(&a, 64 * kMiB, made, stream));
  result("alloc 16 MiB of 32", CU(cuMemAllocFromPoolAsync)(&a, 16 * kMiB, made, stream));
  const CUstream other = make_stream();
  CU(cuMemAllocAsync)(&a, 4096, stream);
  result("free on another stream", CU(cuMemFreeAsync)(a, other));
  result("alloc on stream 0", CU(cuMemAllocAsync)(&a, 4096, nullptr));
  result("free on stream 0", CU(cuMemFreeAsync)(a, nullptr));
  result("sync all", CU(cuCtxSynchronize)());
}

}  // namespace conformance
