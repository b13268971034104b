// cuPointerGetAttribute(s) for every kind of address.
#include <cstdlib>
#include <cstring>

#include "report.h"

namespace conformance {

namespace {

struct Kind {
  const char* name;
  CUdeviceptr address;
};

using Attribute = CUpointer_attribute;

// Prints an answer without addresses: relative to the pointer asked about, or as null/not null.
std::string text_of(Attribute attribute, uint64_t value, CUdeviceptr address) {
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      return value == 0 ? "null" : value == reinterpret_cast<uint64_t>(primary()) ? "primary" : "other";
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
      return value == 0 ? "null" : "pointer" + std::to_string(static_cast<int64_t>(value - address));
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
      return value == 0 ? "0" : "not 0";
    default:
      return std::to_string(value);
  }
}

size_t width_of(Attribute attribute) {
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
      return 4;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_MAPPED:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
      return 1;
    default:
      return 8;
  }
}

uint64_t narrow(Attribute attribute, uint64_t value) {
  const size_t width = width_of(attribute);
  return width == 8 ? value : value & ((uint64_t{1} << (8 * width)) - 1);
}

void ask_one_by_one(const Kind& kind) {
  for (int i = 1; i <= CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE; ++i) {
    const auto attribute = static_cast<Attribute>(i);
    if (attribute == CU_POINTER_ATTRIBUTE_P2P_TOKENS) continue;
    uint64_t value[2] = {0, 0};
    const CUresult status = CU(cuPointerGetAttribute)(value, attribute, kind.address);
    const std::string what = std::string(kind.name) + "[" + std::to_string(i) + "]";
    if (status == CUDA_SUCCESS) {
      say(what, "%s", text_of(attribute, narrow(attribute, value[0]), kind.address).c_str());
    } else {
      result(what, status);
    }
  }
}

void ask_at_once(const Kind& kind) {
  Attribute attributes[] = {CU_POINTER_ATTRIBUTE_CONTEXT,        CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                            CU_POINTER_ATTRIBUTE_DEVICE_POINTER, CU_POINTER_ATTRIBUTE_HOST_POINTER,
                            CU_POINTER_ATTRIBUTE_IS_MANAGED,     CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
                            CU_POINTER_ATTRIBUTE_RANGE_SIZE,     CU_POINTER_ATTRIBUTE_MAPPED};
  constexpr unsigned kCount = sizeof attributes / sizeof attributes[0];
  uint64_t values[kCount] = {};
  void* data[kCount];
  for (unsigned i = 0; i < kCount; ++i) data[i] = &values[i];
  const CUresult status = CU(cuPointerGetAttributes)(kCount, attributes, data, kind.address);
  std::string text = name_of(status);
  for (unsigned i = 0; i < kCount; ++i)
    text += " " + text_of(attributes[i], narrow(attributes[i], values[i]), kind.address);
  say(std::string(kind.name) + "[at once]", "%s", text.c_str());
}

}  // namespace

void section_pointers() {
  const CUdeviceptr device_base = allocate(5000), large = allocate(3 * kMiB);
  void* pinned = nullptr;
  CU(cuMemHostAlloc)(&pinned, 5000, 0);
  void* registered = std::aligned_alloc(4096, 16384);
  CU(cuMemHostRegister)(registered, 16384, 0);
  void* pageable = std::malloc(100);
  CUdeviceptr managed = 0, pooled = 0, reserved = 0, freed = allocate(8 * kMiB);
  CU(cuMemFree)(freed);
  CU(cuMemAllocManaged)(&managed, 5000, CU_MEM_ATTACH_GLOBAL);
  const CUstream stream = make_stream();
  CU(cuMemAllocAsync)(&pooled, 5000, stream);
  CU(cuStreamSynchronize)(stream);
  CU(cuMemAddressReserve)(&reserved, 4 * kMiB, 0, 0, 0);
  const VmmRange mapped = map_fresh(4 * kMiB);
  const Kind kinds[] = {
      {"device", device_base},
      {"device inside", device_base + 4000},
      {"device large end", large + 3 * kMiB - 1},
      {"pinned", reinterpret_cast<CUdeviceptr>(pinned)},
      {"pinned inside", reinterpret_cast<CUdeviceptr>(pinned) + 16},
      {"registered", reinterpret_cast<CUdeviceptr>(registered)},
      {"pageable", reinterpret_cast<CUdeviceptr>(pageable)},
      {"managed", managed},
      {"pooled", pooled},
      {"reserved", reserved},
      {"mapped", mapped.base},
      {"mapped inside", mapped.base + 3 * kMiB},
      {"freed", freed},
      {"null", 0},
      {"low", 0x1234},
  };
  for (const Kind& kind : kinds) {
    ask_one_by_one(kind);
    ask_at_once(kind);
  }
  unsigned on = 1, seen = 0;
  result("set sync memops", CU(cuPointerSetAttribute)(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, device_base));
  CU(cuPointerGetAttribute)(&seen, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, device_base);
  say("sync memops", "%u", seen);
  result("set memory type", CU(cuPointerSetAttribute)(&on, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, device_base));
  result("set sync memops(pageable)",
         CU(cuPointerSetAttribute)(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, reinterpret_cast<CUdeviceptr>(pageable)));
  result("get(bad attribute)", CU(cuPointerGetAttribute)(&seen, static_cast<Attribute>(999), device_base));
  result("get(null)", CU(cuPointerGetAttribute)(nullptr, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, device_base));
  uint64_t first = 0, second = 0;
  CU(cuPointerGetAttribute)(&first, CU_POINTER_ATTRIBUTE_BUFFER_ID, device_base);
  CU(cuPointerGetAttribute)(&second, CU_POINTER_ATTRIBUTE_BUFFER_ID, large);
  say("buffer ids differ", "%d", first != second);
}

}  // namespace conformance
