// Plain allocations, synchronous copies and sets, host memory.
#include <cstdlib>
#include <cstring>

#include "report.h"

namespace conformance {

namespace {

int64_t free_bytes() {
  size_t available = 0, total = 0;
  CU(cuMemGetInfo)(&available, &total);
  return static_cast<int64_t>(available);
}

void ranges(CUdeviceptr base, size_t size) {
  auto ask = [&](const char* what, CUdeviceptr address) {
    CUdeviceptr start = 0;
    size_t bytes = 0;
    const CUresult status = CU(cuMemGetAddressRange)(&start, &bytes, address);
    if (status == CUDA_SUCCESS) {
      say(what, "base %+lld size %zu", static_cast<long long>(start - base), bytes);
    } else {
      result(what, status);
    }
  };
  ask("range(base)", base);
  ask("range(inside)", base + size / 2);
  ask("range(last byte)", base + size - 1);
  ask("range(0)", 0);
  ask("range(0x1234)", 0x1234);
  CUdeviceptr start = 0;
  size_t bytes = 0;
  result("range(no size)", CU(cuMemGetAddressRange)(&start, nullptr, base));
  result("range(no base)", CU(cuMemGetAddressRange)(nullptr, &bytes, base));
  result("range(neither)", CU(cuMemGetAddressRange)(nullptr, nullptr, base));
}

void pitches() {
  for (size_t width : {1u, 100u, 512u, 513u, 4000u}) {
    CUdeviceptr address = 0;
    size_t pitch = 0;
    const CUresult status = CU(cuMemAllocPitch)(&address, &pitch, width, 10, 4);
    say("pitch[" + std::to_string(width) + "]", "%s %zu", name_of(status).c_str(), pitch);
    CU(cuMemFree)(address);
  }
  CUdeviceptr address = 0;
  size_t pitch = 0;
  result("pitch(element 3)", CU(cuMemAllocPitch)(&address, &pitch, 100, 10, 3));
  result("pitch(width 0)", CU(cuMemAllocPitch)(&address, &pitch, 0, 10, 4));
  result("pitch(height 0)", CU(cuMemAllocPitch)(&address, &pitch, 100, 0, 4));
}

}  // namespace

void section_memory() {
  CUdeviceptr a = 0;
  result("cuMemAlloc(0)", CU(cuMemAlloc)(&a, 0));
  result("cuMemAlloc(null)", CU(cuMemAlloc)(nullptr, 256));
  result("cuMemAlloc(2^50)", CU(cuMemAlloc)(&a, size_t{1} << 50));
  result("cuMemAlloc(-1)", CU(cuMemAlloc)(&a, ~size_t{0}));
  result("cuMemFree(0)", CU(cuMemFree)(0));
  result("cuMemFree(0x1234)", CU(cuMemFree)(0x1234));
  result("cuMemFree(host)", CU(cuMemFree)(reinterpret_cast<CUdeviceptr>(&a)));
  for (size_t size : {size_t{1}, size_t{511}, size_t{4096}, kMiB, 2 * kMiB, 5 * kMiB, 64 * kMiB}) {
    const CUdeviceptr p = allocate(size);
    say("aligned[" + std::to_string(size) + "]", "256: %d 512: %d", p % 256 == 0, p % 512 == 0);
    CU(cuMemFree)(p);
  }
  a = allocate(1000);
  ranges(a, 1000);
  result("cuMemFree(inside)", CU(cuMemFree)(a + 256));
  result("cuMemFree", CU(cuMemFree)(a));
  result("cuMemFree again", CU(cuMemFree)(a));
  CUdeviceptr start = 0;
  size_t bytes = 0;
  const CUdeviceptr large = allocate(3 * kMiB);
  CU(cuMemGetAddressRange)(&start, &bytes, large + 5);
  say("range of 3 MiB", "base %+lld size %zu", static_cast<long long>(start - large), bytes);
  CU(cuMemFree)(large);
  result("range of freed", CU(cuMemGetAddressRange)(&start, &bytes, large));
  const int64_t before = free_bytes();
  const CUdeviceptr block = allocate(64 * kMiB);
  const int64_t held = before - free_bytes();
  CU(cuMemFree)(block);
  say("info", "64 MiB take %lld MiB, %lld MiB after the free",
      static_cast<long long>(held / static_cast<int64_t>(kMiB)),
      static_cast<long long>((before - free_bytes()) / static_cast<int64_t>(kMiB)));
  size_t available = 0, total = 0;
  result("cuMemGetInfo(null, null)", CU(cuMemGetInfo)(nullptr, nullptr));
  result("cuMemGetInfo(free, null)", CU(cuMemGetInfo)(&available, nullptr));
  result("cuMemGetInfo(null, total)", CU(cuMemGetInfo)(nullptr, &total));
  pitches();
}

void section_copies() {
  std::vector<uint8_t> host(8192);
  for (size_t i = 0; i < host.size(); ++i) host[i] = static_cast<uint8_t>(i * 7 + i / 256);
  const CUdeviceptr a = allocate(8192), b = allocate(8192);
  result("HtoD", CU(cuMemcpyHtoD)(a, host.data(), 8192));
  result("DtoD", CU(cuMemcpyDtoD)(b, a, 8192));
  result("DtoD overlapping", CU(cuMemcpyDtoD)(b + 16, b, 4096));
  result("DtoD onto itself", CU(cuMemcpyDtoD)(a, a, 8192));
  say("hash", "%016llx", static_cast<unsigned long long>(hash_of(a, 8192)));
  result("HtoD(0 bytes)", CU(cuMemcpyHtoD)(a, host.data(), 0));
  result("HtoD(null source)", CU(cuMemcpyHtoD)(a, nullptr, 16));
  result("HtoD(null target)", CU(cuMemcpyHtoD)(0, host.data(), 16));
  result("HtoD(bad target)", CU(cuMemcpyHtoD)(0x1234, host.data(), 16));
  result("HtoD(0 bytes, bad target)", CU(cuMemcpyHtoD)(0x1234, host.data(), 0));
  result("DtoH(null target)", CU(cuMemcpyDtoH)(nullptr, a, 16));
  result("DtoH(bad source)", CU(cuMemcpyDtoH)(host.data(), 0x1234, 16));
  result("DtoD(bad source)", CU(cuMemcpyDtoD)(a, 0x1234, 16));
  result("cuMemcpy(device, host)", CU(cuMemcpy)(a, reinterpret_cast<CUdeviceptr>(host.data()), 64));
  std::vector<uint8_t> other(64);
  result("cuMemcpy(host, host)",
         CU(cuMemcpy)(reinterpret_cast<CUdeviceptr>(other.data()), reinterpret_cast<CUdeviceptr>(host.data()), 64));
  say("host_host_equal", "%d", std::memcmp(other.data(), host.data(), 64) == 0);
  result("peer, same context", CU(cuMemcpyPeer)(b, primary(), a, primary(), 4096));
  result("set d8", CU(cuMemsetD8)(b, 0x5a, 100));
  result("set d16", CU(cuMemsetD16)(b + 100, 0x1234, 50));
  result("set d32", CU(cuMemsetD32)(b + 200, 0xdeadbeef, 50));
  say("set hash", "%016llx", static_cast<unsigned long long>(hash_of(b, 400)));
  result("set d16 unaligned", CU(cuMemsetD16)(b + 1, 1, 10));
  result("set d32 unaligned", CU(cuMemsetD32)(b + 2, 1, 10));
  result("set of 0 elements", CU(cuMemsetD32)(b, 1, 0));
  result("set null", CU(cuMemsetD32)(0, 1, 4));
  result("set 2d", CU(cuMemsetD2D8)(b, 128, 7, 60, 20));
  result("set 2d pitch < width", CU(cuMemsetD2D8)(b, 32, 7, 60, 20));
  result("set 2d d32 odd pitch", CU(cuMemsetD2D32)(b, 130, 7, 8, 4));
  say("set 2d hash", "%016llx", static_cast<unsigned long long>(hash_of(b, 4096)));

  CUDA_MEMCPY2D flat{};
  flat.srcMemoryType = CU_MEMORYTYPE_HOST;
  flat.srcHost = host.data();
  flat.srcPitch = 100;
  flat.srcXInBytes = 5;
  flat.srcY = 2;
  flat.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  flat.dstDevice = b;
  flat.dstPitch = 64;
  flat.dstXInBytes = 3;
  flat.dstY = 1;
  flat.WidthInBytes = 40;
  flat.Height = 30;
  result("2d", CU(cuMemcpy2D)(&flat));
  say("2d hash", "%016llx", static_cast<unsigned long long>(hash_of(b, 4096)));
  flat.dstPitch = 30;
  result("2d pitch < width", CU(cuMemcpy2D)(&flat));
  flat.dstPitch = 64;
  flat.Height = 0;
  result("2d no rows", CU(cuMemcpy2D)(&flat));
  flat.Height = 30;
  flat.dstMemoryType = static_cast<CUmemorytype>(9);
  result("2d bad type", CU(cuMemcpy2D)(&flat));
  result("2d null", CU(cuMemcpy2D)(nullptr));

  CUDA_MEMCPY3D cube{};
  cube.srcMemoryType = CU_MEMORYTYPE_DEVICE;
  cube.srcDevice = a;
  cube.srcPitch = 32;
  cube.srcHeight = 8;
  cube.srcZ = 1;
  cube.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  cube.dstDevice = b;
  cube.dstPitch = 40;
  cube.dstHeight = 10;
  cube.dstXInBytes = 4;
  cube.WidthInBytes = 20;
  cube.Height = 6;
  cube.Depth = 5;
  result("3d", CU(cuMemcpy3D)(&cube));
  say("3d hash", "%016llx", static_cast<unsigned long long>(hash_of(b, 4096)));
  cube.srcHeight = 3;
  result("3d height < rows", CU(cuMemcpy3D)(&cube));
  result("3d null", CU(cuMemcpy3D)(nullptr));

  CUdeviceptr targets[2] = {b, b + 1024}, sources[2] = {a + 256, a};
  size_t sizes[2] = {512, 512};
  CUmemcpyAttributes attributes{};
  attributes.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM;
  size_t first = 0;
  const CUstream stream = make_stream();
  result("batch", CU(cuMemcpyBatchAsync)(targets, sources, sizes, 2, &attributes, &first, 1, stream));
  say("batch hash", "%016llx", static_cast<unsigned long long>(hash_of(b, 2048)));
  result("batch on stream 0", CU(cuMemcpyBatchAsync)(targets, sources, sizes, 2, &attributes, &first, 1, nullptr));
  result("batch of none", CU(cuMemcpyBatchAsync)(targets, sources, sizes, 0, &attributes, &first, 1, stream));
  const CUdeviceptr big = allocate(2 * kMiB), beyond = big + 2 * kMiB - 16;
  result("HtoD over the end", CU(cuMemcpyHtoD)(beyond, host.data(), 4096));
  result("set over the end", CU(cuMemsetD8)(beyond, 1, 4096));
}

void section_host_memory() {
  void *p = nullptr, *q = nullptr;
  unsigned flags = 99;
  CUdeviceptr seen = 0;
  result("cuMemHostAlloc(0)", CU(cuMemHostAlloc)(&p, 0, 0));
  result("cuMemHostAlloc(bad flags)", CU(cuMemHostAlloc)(&p, 4096, 0x100));
  result("cuMemHostAlloc(null)", CU(cuMemHostAlloc)(nullptr, 4096, 0));
  result("cuMemHostAlloc", CU(cuMemHostAlloc)(&p, 5000, CU_MEMHOSTALLOC_PORTABLE));
  result("cuMemHostGetFlags", CU(cuMemHostGetFlags)(&flags, p));
  say("flags", "%u", flags);
  result("cuMemHostGetDevicePointer", CU(cuMemHostGetDevicePointer)(&seen, p, 0));
  say("same_address", "%d", seen == reinterpret_cast<CUdeviceptr>(p));
  result("cuMemHostGetDevicePointer(inside)", CU(cuMemHostGetDevicePointer)(&seen, static_cast<char*>(p) + 100, 0));
  say("same_address_inside", "%d", seen == reinterpret_cast<CUdeviceptr>(p) + 100);
  result("cuMemHostGetDevicePointer(flags)", CU(cuMemHostGetDevicePointer)(&seen, p, 1));
  int local = 0;
  result("cuMemHostGetDevicePointer(stack)", CU(cuMemHostGetDevicePointer)(&seen, &local, 0));
  result("cuMemFreeHost(stack)", CU(cuMemFreeHost)(&local));
  result("cuMemFreeHost(null)", CU(cuMemFreeHost)(nullptr));
  result("cuMemFree(pinned)", CU(cuMemFree)(reinterpret_cast<CUdeviceptr>(p)));
  result("cuMemAllocHost", CU(cuMemAllocHost)(&q, 4096));
  result("cuMemFreeHost", CU(cuMemFreeHost)(q));
  result("cuMemFreeHost again", CU(cuMemFreeHost)(q));
  result("fill pinned by kernel", fill(make_stream(), reinterpret_cast<CUdeviceptr>(p), 1000, 3));
  result("sync", CU(cuCtxSynchronize)());
  say("pinned hash", "%016llx", static_cast<unsigned long long>(hash_bytes(p, 4000)));

  void* pages = std::aligned_alloc(4096, 16384);
  result("cuMemHostRegister", CU(cuMemHostRegister)(pages, 16384, 0));
  result("cuMemHostRegister again", CU(cuMemHostRegister)(pages, 16384, 0));
  result("cuMemHostRegister part", CU(cuMemHostRegister)(static_cast<char*>(pages) + 4096, 4096, 0));
  result("cuMemHostRegister(0)", CU(cuMemHostRegister)(pages, 0, 0));
  result("cuMemHostRegister(null)", CU(cuMemHostRegister)(nullptr, 4096, 0));
  result("cuMemHostUnregister(inside)", CU(cuMemHostUnregister)(static_cast<char*>(pages) + 4096));
  result("cuMemFreeHost(registered)", CU(cuMemFreeHost)(pages));
  result("cuMemHostUnregister", CU(cuMemHostUnregister)(pages));
  result("cuMemHostUnregister again", CU(cuMemHostUnregister)(pages));

  CUdeviceptr managed = 0;
  result("cuMemAllocManaged(flags 0)", CU(cuMemAllocManaged)(&managed, 4096, 0));
  result("cuMemAllocManaged(0 bytes)", CU(cuMemAllocManaged)(&managed, 0, CU_MEM_ATTACH_GLOBAL));
  result("cuMemAllocManaged", CU(cuMemAllocManaged)(&managed, 4096, CU_MEM_ATTACH_GLOBAL));
  result("fill managed by kernel", fill(nullptr, managed, 1024, 9));
  result("sync managed", CU(cuCtxSynchronize)());
  say("managed hash", "%016llx", static_cast<unsigned long long>(hash_bytes(reinterpret_cast<void*>(managed), 4096)));
  result("cuMemFree(managed)", CU(cuMemFree)(managed));
}

}  // namespace conformance
