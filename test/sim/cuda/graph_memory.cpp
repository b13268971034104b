#include "graph_memory.h"

#include <cstring>
#include <functional>

#include "allocate.h"
#include "api.h"
#include "capture.h"

namespace loretoken::sim {

namespace {

void visit(const Graph& graph, const std::function<void(const Body&)>& fn) {
  for (auto& node : graph.nodes) {
    if (auto* child = std::get_if<ChildBody>(&node->body)) {
      visit(*child->graph, fn);
    } else {
      fn(node->body);
    }
  }
}

void uncharge(Allocation& allocation) {
  allocation.charged = false;
  Reserve& reserve = find_device(allocation.device)->graph_memory;
  reserve.drop(allocation.block.size);
  reserve.trim(0);
}

}  // namespace

CUresult own_memory(const Graph& graph, const std::shared_ptr<GraphExec>& exec) {
  bool taken = false;
  visit(graph, [&](const Body& body) {
    auto* alloc = std::get_if<AllocBody>(&body);
    if (!alloc) return;
    taken = taken || !alloc->allocation->exec.expired();
    if (!taken) alloc->allocation->exec = exec;
  });
  return taken ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
}

CUresult charge_graph(const Graph& graph) {
  std::vector<Allocation*> fresh;
  visit(graph, [&](const Body& body) {
    auto* alloc = std::get_if<AllocBody>(&body);
    if (alloc && !alloc->allocation->charged) fresh.push_back(alloc->allocation.get());
  });
  for (size_t i = 0; i < fresh.size(); ++i) {
    Device& device = *find_device(fresh[i]->device);
    if (!device.graph_memory.hold(fresh[i]->block.size)) {
      trim_pools(fresh[i]->device);
      if (!device.graph_memory.hold(fresh[i]->block.size)) {
        for (size_t k = 0; k < i; ++k) uncharge(*fresh[k]);
        return CUDA_ERROR_OUT_OF_MEMORY;
      }
    }
    fresh[i]->charged = true;
    device.graph_high = std::max(device.graph_high, device.graph_memory.charged());
    device.graph_reserved_high = std::max(device.graph_reserved_high, device.graph_memory.charged());
    publish(fresh[i]->device);
  }
  return CUDA_SUCCESS;
}

CUresult launch_memory(GraphExec& exec) {
  std::vector<Allocation*> made, freed;
  visit(*exec.plan, [&](const Body& body) {
    if (auto* alloc = std::get_if<AllocBody>(&body)) made.push_back(alloc->allocation.get());
    if (auto* free = std::get_if<FreeBody>(&body)) freed.push_back(free->allocation.get());
  });
  const bool auto_free = exec.flags & CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
  for (Allocation* a : made)
    if (a->live && !auto_free) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = charge_graph(*exec.plan)) return error;  // trimmed meanwhile
  for (Allocation* a : made) a->live = true;
  for (Allocation* a : freed) a->live = false;
  return CUDA_SUCCESS;
}

void sweep_graph_memory() {
  if (!state().graph_allocations) return;
  std::vector<std::shared_ptr<Allocation>> dead;
  for (auto& [base, allocation] : state().allocations)
    if (allocation->kind == Kind::kGraph && !allocation->live && allocation.use_count() == 1)
      dead.push_back(allocation);
  for (auto& allocation : dead) release(*allocation);
  state().graph_allocations -= dead.size();
}

}  // namespace loretoken::sim

using namespace loretoken::sim;

extern "C" {

CUresult cuDeviceGraphMemTrim(CUdevice device) {
  SIM_API_LOCKED(cuDeviceGraphMemTrim, kInit);
  if (!find_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  sweep_graph_memory();
  for (auto& [base, a] : state().allocations)
    if (a->kind == Kind::kGraph && a->device == device && a->charged && !a->live) uncharge(*a);
  publish(device);
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetGraphMemAttribute(CUdevice ordinal, CUgraphMem_attribute attribute, void* value) {
  SIM_API_LOCKED(cuDeviceGetGraphMemAttribute, kInit);
  Device* device = find_device(ordinal);
  if (!device) return CUDA_ERROR_INVALID_DEVICE;
  if (!value) return CUDA_ERROR_INVALID_VALUE;
  cuuint64_t answer = 0;
  switch (attribute) {
    case CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT:  // what belongs to graphs, in use or not
    case CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT:
      answer = device->graph_memory.charged();
      break;
    case CU_GRAPH_MEM_ATTR_USED_MEM_HIGH:
      answer = device->graph_high;
      break;
    case CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH:
      answer = device->graph_reserved_high;
      break;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
  std::memcpy(value, &answer, 8);
  return CUDA_SUCCESS;
}

CUresult cuDeviceSetGraphMemAttribute(CUdevice ordinal, CUgraphMem_attribute attribute, void* value) {
  SIM_API_LOCKED(cuDeviceSetGraphMemAttribute, kInit);
  Device* device = find_device(ordinal);
  if (!device) return CUDA_ERROR_INVALID_DEVICE;
  if (!value || (attribute != CU_GRAPH_MEM_ATTR_USED_MEM_HIGH && attribute != CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH))
    return CUDA_ERROR_INVALID_VALUE;
  (attribute == CU_GRAPH_MEM_ATTR_USED_MEM_HIGH ? device->graph_high : device->graph_reserved_high) =
      device->graph_memory.charged();
  return CUDA_SUCCESS;
}

}  // extern "C"
