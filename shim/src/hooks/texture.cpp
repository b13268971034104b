// Textures over linear memory: kernels reach it through a handle, so it stays raw while the object lives.
#include <mutex>
#include <unordered_map>

#include "hooks/operation.h"
#include "residency/residency.h"

namespace loretoken::hooks {
namespace {

struct TextureTable {
  std::mutex mutex;
  std::unordered_map<CUtexObject, std::vector<Unit*>> pinned;
};

TextureTable& textures() {
  static auto* table = new TextureTable;
  return *table;
}

uint64_t linear_address(const CUDA_RESOURCE_DESC& resource) {
  if (resource.resType == CU_RESOURCE_TYPE_LINEAR) return resource.res.linear.devPtr;
  if (resource.resType == CU_RESOURCE_TYPE_PITCH2D) return resource.res.pitch2D.devPtr;
  return 0;
}

Residency* residency_of(const Unit& unit) {
  const DeviceRuntime* rt = Runtime::get()->device(unit.device);
  return rt != nullptr ? rt->residency.get() : nullptr;
}

}  // namespace

CUresult cuTexObjectCreate(CUtexObject* texture, const CUDA_RESOURCE_DESC* resource, const CUDA_TEXTURE_DESC* sampling,
                           const CUDA_RESOURCE_VIEW_DESC* view) {
  ReachSet set;
  if (!nothing_ours() && resource != nullptr) {
    Unit* unit = unit_at(linear_address(*resource));
    if (unit != nullptr) add_with_row(unit, &set);
  }
  std::vector<Unit*> pinned;
  for (Unit* unit : set) {
    Residency* residency = residency_of(*unit);
    if (residency != nullptr && residency->pin(*unit, Pin::kTexture) == CUDA_SUCCESS) pinned.push_back(unit);
  }
  const CUresult result = driver().cuTexObjectCreate(texture, resource, sampling, view);
  if (pinned.empty()) return result;
  if (result == CUDA_SUCCESS) {
    std::lock_guard lock(textures().mutex);
    textures().pinned[*texture] = std::move(pinned);
  } else {
    for (Unit* unit : pinned) residency_of(*unit)->unpin(*unit, Pin::kTexture);
  }
  return result;
}

CUresult cuTexObjectDestroy(CUtexObject texture) {
  std::vector<Unit*> pinned;
  {
    std::lock_guard lock(textures().mutex);
    if (const auto at = textures().pinned.find(texture); at != textures().pinned.end()) {
      pinned = std::move(at->second);
      textures().pinned.erase(at);
    }
  }
  const CUresult result = driver().cuTexObjectDestroy(texture);
  if (Runtime::get() == nullptr) return result;
  for (Unit* unit : pinned) {
    // Freed before the texture was destroyed: the pin went with the content.
    if ((unit->flags.load(std::memory_order_acquire) & kFlagIdle) != 0 || unit->pins.load() == 0) continue;
    if (Residency* residency = residency_of(*unit)) residency->unpin(*unit, Pin::kTexture);
  }
  return result;
}

CUresult cuTexRefSetAddress_v2(size_t* offset, CUtexref texture, CUdeviceptr address, size_t bytes) {
  if (!nothing_ours()) pin_address(address, bytes, Pin::kTexture);
  return driver().cuTexRefSetAddress_v2(offset, texture, address, bytes);
}

CUresult cuTexRefSetAddress2D_v2(CUtexref texture, const CUDA_ARRAY_DESCRIPTOR* shape, CUdeviceptr address,
                                 size_t pitch) {
  if (!nothing_ours()) pin_address(address, 1, Pin::kTexture);
  return driver().cuTexRefSetAddress2D_v2(texture, shape, address, pitch);
}

CUresult cuTexRefSetAddress2D_v3(CUtexref texture, const CUDA_ARRAY_DESCRIPTOR* shape, CUdeviceptr address,
                                 size_t pitch) {
  if (!nothing_ours()) pin_address(address, 1, Pin::kTexture);
  return driver().cuTexRefSetAddress2D_v3(texture, shape, address, pitch);
}

}  // namespace loretoken::hooks
