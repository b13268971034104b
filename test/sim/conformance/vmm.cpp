// Physical handles, reservations, mapping, access, sharing.
#include <unistd.h>

#include "report.h"

namespace conformance {

namespace {

int64_t free_mib() {
  size_t available = 0, total = 0;
  CU(cuMemGetInfo)(&available, &total);
  return static_cast<int64_t>(available / kMiB);
}

CUresult create(size_t size, CUmemAllocationProp prop, unsigned long long flags = 0) {
  CUmemGenericAllocationHandle handle = 0;
  const CUresult status = CU(cuMemCreate)(&handle, size, &prop, flags);
  if (status == CUDA_SUCCESS) CU(cuMemRelease)(handle);
  return status;
}

void reserve(const char* what, size_t size, size_t alignment, CUdeviceptr hint, unsigned long long flags) {
  CUdeviceptr base = 0;
  const CUresult status = CU(cuMemAddressReserve)(&base, size, alignment, hint, flags);
  if (status != CUDA_SUCCESS) {
    result(what, status);
    return;
  }
  say(what, "CUDA_SUCCESS aligned to 2 MiB %d to request %d hint kept %d", base % (2 * kMiB) == 0,
      alignment == 0 || base % alignment == 0, hint == 0 || base == hint);
  CU(cuMemAddressFree)(base, size);
}

void access_of(const char* what, CUdeviceptr address) {
  unsigned long long flags = 99;
  CUmemLocation location = {CU_MEM_LOCATION_TYPE_DEVICE, {device()}};
  const CUresult status = CU(cuMemGetAccess)(&flags, &location, address);
  say(what, "%s %llu", name_of(status).c_str(), flags);
}

void range_of(const char* what, CUdeviceptr base, CUdeviceptr address) {
  CUdeviceptr start = 0;
  size_t size = 0;
  const CUresult status = CU(cuMemGetAddressRange)(&start, &size, address);
  if (status != CUDA_SUCCESS) {
    result(what, status);
  } else {
    say(what, "base %+lld size %zu", static_cast<long long>(start - base), size);
  }
}

}  // namespace

void section_vmm_create() {
  CUmemAllocationProp prop = device_memory();
  size_t granularity = 0;
  result("granularity(minimum)",
         CU(cuMemGetAllocationGranularity)(&granularity, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
  say("minimum", "%zu", granularity);
  result("granularity(recommended)",
         CU(cuMemGetAllocationGranularity)(&granularity, &prop, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED));
  say("recommended", "%zu", granularity);
  result("granularity(bad option)",
         CU(cuMemGetAllocationGranularity)(&granularity, &prop, static_cast<CUmemAllocationGranularity_flags>(7)));
  result("granularity(null)", CU(cuMemGetAllocationGranularity)(nullptr, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
  result("create(0)", create(0, prop));
  result("create(1 MiB)", create(kMiB, prop));
  result("create(2 MiB)", create(2 * kMiB, prop));
  result("create(3 MiB)", create(3 * kMiB, prop));
  result("create(2^50)", create(size_t{1} << 50, prop));
  result("create(flags 1)", create(2 * kMiB, prop, 1));
  prop.type = CU_MEM_ALLOCATION_TYPE_INVALID;
  result("create(type invalid)", create(2 * kMiB, prop));
  prop = device_memory();
  prop.location.type = CU_MEM_LOCATION_TYPE_INVALID;
  result("create(location invalid)", create(2 * kMiB, prop));
  prop = device_memory();
  prop.location.id = 99;
  result("create(device 99)", create(2 * kMiB, prop));
  prop = device_memory();
  prop.location = {CU_MEM_LOCATION_TYPE_HOST, {0}};
  result("create(host)", create(2 * kMiB, prop));
  prop.location = {CU_MEM_LOCATION_TYPE_HOST_NUMA, {0}};
  result("create(host numa 0)", create(2 * kMiB, prop));
  result("granularity(host numa 0)",
         CU(cuMemGetAllocationGranularity)(&granularity, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
  prop.location = {CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT, {0}};
  result("create(host numa current)", create(2 * kMiB, prop));
  prop = device_memory();
  prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  result("create(posix fd)", create(2 * kMiB, prop));
  prop = device_memory();
  prop.allocFlags.gpuDirectRDMACapable = 1;
  result("create(rdma)", create(2 * kMiB, prop));
  prop = device_memory();
  prop.allocFlags.compressionType = CU_MEM_ALLOCATION_COMP_GENERIC;
  result("create(compressible)", create(2 * kMiB, prop));
  prop = device_memory();
  CUmemGenericAllocationHandle handle = 0;
  result("create(null handle)", CU(cuMemCreate)(nullptr, 2 * kMiB, &prop, 0));
  result("create(null prop)", CU(cuMemCreate)(&handle, 2 * kMiB, nullptr, 0));
  result("release(0)", CU(cuMemRelease)(0));
}

// A handle that is none, or none any more, crashes the driver: no section asks about one.
void section_vmm_reserve() {
  const CUmemAllocationProp prop = device_memory();
  CUmemGenericAllocationHandle handle = 0;
  const int64_t before = free_mib();
  CU(cuMemCreate)(&handle, 64 * kMiB, &prop, 0);
  say("64 MiB handle takes", "%lld MiB", static_cast<long long>(before - free_mib()));
  CUmemAllocationProp found{};
  result("properties", CU(cuMemGetAllocationPropertiesFromHandle)(&found, handle));
  say("properties", "type %d location %d id %d handle types %d", found.type, found.location.type, found.location.id,
      found.requestedHandleTypes);
  result("release", CU(cuMemRelease)(handle));
  say("after release", "%lld MiB", static_cast<long long>(before - free_mib()));

  reserve("reserve(2 MiB)", 2 * kMiB, 0, 0, 0);
  reserve("reserve(0)", 0, 0, 0, 0);
  reserve("reserve(1 MiB)", kMiB, 0, 0, 0);
  reserve("reserve(3 MiB)", 3 * kMiB, 0, 0, 0);
  reserve("reserve(4 KiB)", 4096, 0, 0, 0);
  reserve("reserve(align 1)", 2 * kMiB, 1, 0, 0);
  reserve("reserve(align 4 KiB)", 2 * kMiB, 4096, 0, 0);
  reserve("reserve(align 64 MiB)", 2 * kMiB, 64 * kMiB, 0, 0);
  reserve("reserve(align 3 MiB)", 2 * kMiB, 3 * kMiB, 0, 0);
  reserve("reserve(hint)", 8ull << 30, 0, 0x5E0000000000ull, 0);
  reserve("reserve(unaligned hint)", 2 * kMiB, 0, 0x5E0000001000ull, 0);
  reserve("reserve(16 TiB)", 16ull << 40, 0, 0x600000000000ull, 0);
  reserve("reserve(flags 1)", 2 * kMiB, 0, 0, 1);
  reserve("reserve(2^60)", size_t{1} << 60, 0, 0, 0);
  CUdeviceptr base = 0;
  result("reserve(null)", CU(cuMemAddressReserve)(nullptr, 2 * kMiB, 0, 0, 0));
  CU(cuMemAddressReserve)(&base, 8 * kMiB, 0, 0, 0);
  reserve("reserve(hint taken)", 2 * kMiB, 0, base, 0);
  result("address free(part)", CU(cuMemAddressFree)(base, 2 * kMiB));
  result("address free(inside)", CU(cuMemAddressFree)(base + 2 * kMiB, 6 * kMiB));
  result("address free(too much)", CU(cuMemAddressFree)(base, 16 * kMiB));
  result("address free", CU(cuMemAddressFree)(base, 8 * kMiB));
  result("address free again", CU(cuMemAddressFree)(base, 8 * kMiB));
  result("address free(0)", CU(cuMemAddressFree)(0, 2 * kMiB));
}

void section_vmm_map() {
  const CUmemAllocationProp prop = device_memory();
  CUdeviceptr base = 0;
  CUmemGenericAllocationHandle four = 0, two = 0;
  CU(cuMemAddressReserve)(&base, 16 * kMiB, 0, 0, 0);
  CU(cuMemCreate)(&four, 4 * kMiB, &prop, 0);
  CU(cuMemCreate)(&two, 2 * kMiB, &prop, 0);
  result("map(unreserved)", CU(cuMemMap)(0x5F0000000000ull, 4 * kMiB, 0, four, 0));
  result("map(null)", CU(cuMemMap)(0, 4 * kMiB, 0, four, 0));
  result("map(part of handle)", CU(cuMemMap)(base, 2 * kMiB, 0, four, 0));
  result("map(offset)", CU(cuMemMap)(base, 2 * kMiB, 2 * kMiB, four, 0));
  result("map(more than handle)", CU(cuMemMap)(base, 8 * kMiB, 0, four, 0));
  result("map(unaligned)", CU(cuMemMap)(base + 4096, 4 * kMiB, 0, four, 0));
  result("map(size 0)", CU(cuMemMap)(base, 0, 0, four, 0));
  result("map(flags)", CU(cuMemMap)(base, 4 * kMiB, 0, four, 1));
  result("map(over the end)", CU(cuMemMap)(base + 14 * kMiB, 4 * kMiB, 0, four, 0));
  result("access before map", allow(base, 4 * kMiB));
  range_of("range(reserved)", base, base);
  result("map", CU(cuMemMap)(base, 4 * kMiB, 0, four, 0));
  result("map again", CU(cuMemMap)(base, 4 * kMiB, 0, four, 0));
  result("map overlapping", CU(cuMemMap)(base + 2 * kMiB, 2 * kMiB, 0, two, 0));
  range_of("range(mapped, no access)", base, base + 5);
  access_of("access(none set)", base);
  result("access(part)", allow(base, 2 * kMiB));
  access_of("access(after part)", base);
  result("access(more than mapped)", allow(base, 8 * kMiB));
  result("access(unaligned)", allow(base + 4096, 2 * kMiB));
  result("access(size 0)", allow(base, 0));
  result("access(bad flags)", allow(base, 4 * kMiB, static_cast<CUmemAccess_flags>(7)));
  result("access(read only)", allow(base, 4 * kMiB, CU_MEM_ACCESS_FLAGS_PROT_READ));
  access_of("access(read only)", base);
  result("access(none)", allow(base, 4 * kMiB, CU_MEM_ACCESS_FLAGS_PROT_NONE));
  access_of("access(none)", base);
  result("access", allow(base, 4 * kMiB));
  access_of("access(both)", base);
  access_of("access(inside)", base + 3 * kMiB);
  access_of("access(unmapped)", base + 8 * kMiB);
  CUmemAccessDesc bad{};
  bad.location = {CU_MEM_LOCATION_TYPE_DEVICE, {99}};
  bad.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
  result("access(device 99)", CU(cuMemSetAccess)(base, 4 * kMiB, &bad, 1));
  result("access(no descriptors)", CU(cuMemSetAccess)(base, 4 * kMiB, nullptr, 0));
  bad.location = {CU_MEM_LOCATION_TYPE_HOST, {0}};
  result("access(host, device memory)", CU(cuMemSetAccess)(base, 4 * kMiB, &bad, 1));
  range_of("range(mapped)", base, base + 5);
  range_of("range(behind the map)", base, base + 6 * kMiB);
  result("free by cuMemFree", CU(cuMemFree)(base));
  result("map neighbour", CU(cuMemMap)(base + 4 * kMiB, 2 * kMiB, 0, two, 0));
  result("access over both", allow(base, 6 * kMiB));
  result("set over both", CU(cuMemsetD8)(base, 0x33, 6 * kMiB));
  say("hash over both", "%016llx", static_cast<unsigned long long>(hash_of(base, 6 * kMiB)));
  result("kernel over both", fill(nullptr, base, 6 * kMiB / 4, 11));
  say("kernel hash over both", "%016llx", static_cast<unsigned long long>(hash_of(base, 6 * kMiB)));
  range_of("range(second)", base, base + 5 * kMiB);
  result("unmap(part)", CU(cuMemUnmap)(base, 2 * kMiB));
  result("unmap(inside)", CU(cuMemUnmap)(base + 2 * kMiB, 2 * kMiB));
  result("unmap(unaligned)", CU(cuMemUnmap)(base, 4 * kMiB + 4096));
  result("unmap(size 0)", CU(cuMemUnmap)(base, 0));
  result("address free while mapped", CU(cuMemAddressFree)(base, 16 * kMiB));
  result("release while mapped", CU(cuMemRelease)(two));
  result("read after release", CU(cuMemsetD8)(base + 4 * kMiB, 1, 2 * kMiB));
  CU(cuCtxSynchronize)();  // unmapping does not wait for it
  CUmemGenericAllocationHandle again = 0;
  result("retain(mapped)", CU(cuMemRetainAllocationHandle)(&again, reinterpret_cast<void*>(base + 5)));
  say("retained_is_same", "%d", again == four);
  result("release retained", CU(cuMemRelease)(again));
  result("retain(unmapped)", CU(cuMemRetainAllocationHandle)(&again, reinterpret_cast<void*>(base + 8 * kMiB)));
  result("unmap both", CU(cuMemUnmap)(base, 6 * kMiB));
  result("unmap again", CU(cuMemUnmap)(base, 6 * kMiB));
  result("map after unmap", CU(cuMemMap)(base + 8 * kMiB, 4 * kMiB, 0, four, 0));
  access_of("access forgotten", base + 8 * kMiB);
  result("access at new place", allow(base + 8 * kMiB, 4 * kMiB));
  say("content follows the handle", "%016llx", static_cast<unsigned long long>(hash_of(base + 8 * kMiB, 4 * kMiB)));
  result("alias", CU(cuMemMap)(base, 4 * kMiB, 0, four, 0));
  result("access of alias", allow(base, 4 * kMiB));
  result("set through alias", CU(cuMemsetD32)(base, 0x01020304, kMiB));
  say("seen at the other", "%016llx", static_cast<unsigned long long>(hash_of(base + 8 * kMiB, 4 * kMiB)));
  const int64_t before = free_mib();
  result("release aliased", CU(cuMemRelease)(four));
  result("unmap one", CU(cuMemUnmap)(base, 4 * kMiB));
  say("still held", "%lld MiB came back", static_cast<long long>(free_mib() - before));
  result("unmap other", CU(cuMemUnmap)(base + 8 * kMiB, 4 * kMiB));
  say("given back", "%lld MiB came back", static_cast<long long>(free_mib() - before));
  result("unmap(unmapped)", CU(cuMemUnmap)(base, 2 * kMiB));
  result("address free", CU(cuMemAddressFree)(base, 16 * kMiB));
  result("unmap(unreserved)", CU(cuMemUnmap)(base, 2 * kMiB));
}

void section_vmm_share() {
  CUmemAllocationProp prop = device_memory();
  CUmemGenericAllocationHandle plain = 0, shared = 0, imported = 0;
  int fd = -1;
  CU(cuMemCreate)(&plain, 2 * kMiB, &prop, 0);
  result("export(not asked for)",
         CU(cuMemExportToShareableHandle)(&fd, plain, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
  prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  result("create", CU(cuMemCreate)(&shared, 2 * kMiB, &prop, 0));
  result("export(none)", CU(cuMemExportToShareableHandle)(&fd, shared, CU_MEM_HANDLE_TYPE_NONE, 0));
  result("export(flags)", CU(cuMemExportToShareableHandle)(&fd, shared, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 1));
  result("export", CU(cuMemExportToShareableHandle)(&fd, shared, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
  say("fd_is_open", "%d", fd >= 0);
  result("import", CU(cuMemImportFromShareableHandle)(&imported, reinterpret_cast<void*>(static_cast<intptr_t>(fd)),
                                                      CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
  CUdeviceptr base = 0;
  CU(cuMemAddressReserve)(&base, 4 * kMiB, 0, 0, 0);
  result("map original", CU(cuMemMap)(base, 2 * kMiB, 0, shared, 0));
  result("map imported", CU(cuMemMap)(base + 2 * kMiB, 2 * kMiB, 0, imported, 0));
  result("access", allow(base, 4 * kMiB));
  result("set original", CU(cuMemsetD8)(base, 0x77, 2 * kMiB));
  say("seen through import", "%016llx", static_cast<unsigned long long>(hash_of(base + 2 * kMiB, 2 * kMiB)));
  close(fd);
  result("import(closed fd)",
         CU(cuMemImportFromShareableHandle)(&imported, reinterpret_cast<void*>(static_cast<intptr_t>(fd)),
                                            CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
}

}  // namespace conformance
