// Reading and changing the parameters of graph nodes.
#include <cstring>

#include "api.h"
#include "graph.h"
#include "module.h"

using namespace loretoken::sim;

namespace {

template <class T>
T* body_of(CUgraphNode handle) {
  Node* node = find_node(handle);
  return node ? std::get_if<T>(&node->body) : nullptr;
}

// kernelParams that point into the node. They live as long as the node's parameters stay as they are.
void** params_of(KernelBody& body) {
  const LtHostKernel& kernel = *body.function->kernel;
  body.pointers.resize(kernel.param_count);
  for (uint32_t i = 0; i < kernel.param_count; ++i)
    body.pointers[i] = reinterpret_cast<char*>(body.params.data()) + kernel.params[i].offset;
  return body.pointers.data();
}

}  // namespace

extern "C" {

CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode handle, CUDA_KERNEL_NODE_PARAMS* out) {
  SIM_API_LOCKED(cuGraphKernelNodeGetParams_v2, kInit);
  auto* b = body_of<KernelBody>(handle);
  if (!out || !b) return CUDA_ERROR_INVALID_VALUE;
  *out = {as_handle<CUfunction>(b->function.get()),
          b->grid[0],
          b->grid[1],
          b->grid[2],
          b->block[0],
          b->block[1],
          b->block[2],
          b->shared,
          params_of(*b),
          nullptr,
          b->kernel,
          as_handle<CUcontext>(b->function->ctx.get())};
  return CUDA_SUCCESS;
}

CUresult cuGraphKernelNodeGetParams(CUgraphNode handle, CUDA_KERNEL_NODE_PARAMS_v1* out) {
  CUDA_KERNEL_NODE_PARAMS_v2 params{};
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = cuGraphKernelNodeGetParams_v2(handle, &params)) return error;
  std::memcpy(out, &params, sizeof *out);  // the older form is a prefix of the newer
  return CUDA_SUCCESS;
}

CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode handle, const CUDA_KERNEL_NODE_PARAMS* params) {
  SIM_API_LOCKED(cuGraphKernelNodeSetParams_v2, kContext);
  auto* b = body_of<KernelBody>(handle);
  if (!params || !b) return CUDA_ERROR_INVALID_VALUE;
  KernelBody made;
  if (CUresult error = kernel_body(*params, b->function->ctx, made)) return error;
  *b = std::move(made);
  return CUDA_SUCCESS;
}

CUresult cuGraphKernelNodeSetParams(CUgraphNode handle, const CUDA_KERNEL_NODE_PARAMS_v1* p) {
  if (!p) return CUDA_ERROR_INVALID_VALUE;
  CUDA_KERNEL_NODE_PARAMS_v2 params{};
  std::memcpy(&params, p, sizeof *p);
  return cuGraphKernelNodeSetParams_v2(handle, &params);
}

CUresult cuGraphMemcpyNodeGetParams(CUgraphNode handle, CUDA_MEMCPY3D* out) {
  SIM_API_LOCKED(cuGraphMemcpyNodeGetParams, kInit);
  auto* b = body_of<CopyBody>(handle);
  if (!out || !b) return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(out, &b->shape, sizeof *out);
  out->reserved0 = out->reserved1 = nullptr;
  return CUDA_SUCCESS;
}

CUresult cuGraphMemcpyNodeSetParams(CUgraphNode handle, const CUDA_MEMCPY3D* params) {
  SIM_API_LOCKED(cuGraphMemcpyNodeSetParams, kContext);
  auto* b = body_of<CopyBody>(handle);
  if (!params || !b) return CUDA_ERROR_INVALID_VALUE;
  CopyBody made;
  if (CUresult error = copy_body(*params, made)) return error;
  *b = std::move(made);
  return CUDA_SUCCESS;
}

CUresult cuGraphMemsetNodeGetParams(CUgraphNode handle, CUDA_MEMSET_NODE_PARAMS* out) {
  SIM_API_LOCKED(cuGraphMemsetNodeGetParams, kInit);
  auto* b = body_of<MemsetBody>(handle);
  if (!out || !b) return CUDA_ERROR_INVALID_VALUE;
  *out = {b->set.dst, b->set.pitch, b->set.value, b->set.elementSize, b->set.width, b->set.height};
  return CUDA_SUCCESS;
}

CUresult cuGraphMemsetNodeSetParams(CUgraphNode handle, const CUDA_MEMSET_NODE_PARAMS* params) {
  SIM_API_LOCKED(cuGraphMemsetNodeSetParams, kContext);
  auto* b = body_of<MemsetBody>(handle);
  if (!params || !b) return CUDA_ERROR_INVALID_VALUE;
  MemsetBody made;
  if (CUresult error = memset_body(*params, made)) return error;
  *b = made;
  return CUDA_SUCCESS;
}

CUresult cuGraphHostNodeGetParams(CUgraphNode handle, CUDA_HOST_NODE_PARAMS* out) {
  SIM_API_LOCKED(cuGraphHostNodeGetParams, kInit);
  auto* b = body_of<HostBody>(handle);
  if (!out || !b) return CUDA_ERROR_INVALID_VALUE;
  *out = {b->fn, b->data};
  return CUDA_SUCCESS;
}

CUresult cuGraphHostNodeSetParams(CUgraphNode handle, const CUDA_HOST_NODE_PARAMS* params) {
  SIM_API_LOCKED(cuGraphHostNodeSetParams, kInit);
  auto* b = body_of<HostBody>(handle);
  if (!params || !b) return CUDA_ERROR_INVALID_VALUE;
  return host_body(*params, *b);
}

CUresult cuGraphNodeSetParams(CUgraphNode handle, CUgraphNodeParams* params) {
  SIM_API_LOCKED(cuGraphNodeSetParams, kContext);
  Node* node = find_node(handle);
  if (!params || !node || node->type != params->type || params->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
    return CUDA_ERROR_INVALID_VALUE;
  return body_from(*params, api.ctx, node->body);
}

CUresult cuGraphEventRecordNodeGetEvent(CUgraphNode handle, CUevent* out) {
  SIM_API_LOCKED(cuGraphEventRecordNodeGetEvent, kInit);
  auto* b = body_of<EventRecordBody>(handle);
  if (!out || !b) return CUDA_ERROR_INVALID_VALUE;
  *out = as_handle<CUevent>(b->event.get());
  return CUDA_SUCCESS;
}

CUresult cuGraphEventRecordNodeSetEvent(CUgraphNode handle, CUevent event_handle) {
  SIM_API_LOCKED(cuGraphEventRecordNodeSetEvent, kInit);
  auto* b = body_of<EventRecordBody>(handle);
  auto event = state().events.find(event_handle);
  if (!event || !b) return CUDA_ERROR_INVALID_VALUE;
  b->event = event;
  return CUDA_SUCCESS;
}

CUresult cuGraphEventWaitNodeGetEvent(CUgraphNode handle, CUevent* out) {
  SIM_API_LOCKED(cuGraphEventWaitNodeGetEvent, kInit);
  auto* b = body_of<EventWaitBody>(handle);
  if (!out || !b) return CUDA_ERROR_INVALID_VALUE;
  *out = as_handle<CUevent>(b->event.get());
  return CUDA_SUCCESS;
}

CUresult cuGraphEventWaitNodeSetEvent(CUgraphNode handle, CUevent event_handle) {
  SIM_API_LOCKED(cuGraphEventWaitNodeSetEvent, kInit);
  auto* b = body_of<EventWaitBody>(handle);
  auto event = state().events.find(event_handle);
  if (!event || !b) return CUDA_ERROR_INVALID_VALUE;
  b->event = event;
  return CUDA_SUCCESS;
}

CUresult cuGraphBatchMemOpNodeGetParams(CUgraphNode handle, CUDA_BATCH_MEM_OP_NODE_PARAMS* out) {
  SIM_API_LOCKED(cuGraphBatchMemOpNodeGetParams, kInit);
  auto* b = body_of<MemOpBody>(handle);
  if (!out || !b) return CUDA_ERROR_INVALID_VALUE;
  *out = {nullptr, static_cast<unsigned>(b->ops.size()), b->ops.data(), b->flags};
  return CUDA_SUCCESS;
}

CUresult cuGraphMemAllocNodeGetParams(CUgraphNode handle, CUDA_MEM_ALLOC_NODE_PARAMS* out) {
  SIM_API_LOCKED(cuGraphMemAllocNodeGetParams, kInit);
  auto* b = body_of<AllocBody>(handle);
  if (!out || !b) return CUDA_ERROR_INVALID_VALUE;
  *out = {b->props, nullptr, 0, b->allocation->size, b->allocation->base};
  return CUDA_SUCCESS;
}

CUresult cuGraphMemFreeNodeGetParams(CUgraphNode handle, CUdeviceptr* out) {
  SIM_API_LOCKED(cuGraphMemFreeNodeGetParams, kInit);
  auto* b = body_of<FreeBody>(handle);
  if (!out || !b) return CUDA_ERROR_INVALID_VALUE;
  *out = b->allocation->base;
  return CUDA_SUCCESS;
}

CUresult cuGraphKernelNodeGetAttribute(CUgraphNode handle, CUkernelNodeAttrID attribute, CUkernelNodeAttrValue* out) {
  SIM_API_LOCKED(cuGraphKernelNodeGetAttribute, kInit);
  if (!out || !body_of<KernelBody>(handle)) return CUDA_ERROR_INVALID_VALUE;
  auto& attributes = find_node(handle)->attributes;
  auto it = attributes.find(attribute);
  *out = it == attributes.end() ? CUkernelNodeAttrValue{} : it->second;
  return CUDA_SUCCESS;
}

CUresult cuGraphKernelNodeSetAttribute(CUgraphNode handle, CUkernelNodeAttrID attribute,
                                       const CUkernelNodeAttrValue* value) {
  SIM_API_LOCKED(cuGraphKernelNodeSetAttribute, kInit);
  if (!value || !body_of<KernelBody>(handle)) return CUDA_ERROR_INVALID_VALUE;
  find_node(handle)->attributes[attribute] = *value;
  return CUDA_SUCCESS;
}

CUresult cuGraphKernelNodeCopyAttributes(CUgraphNode target, CUgraphNode source) {
  SIM_API_LOCKED(cuGraphKernelNodeCopyAttributes, kInit);
  if (!body_of<KernelBody>(target) || !body_of<KernelBody>(source)) return CUDA_ERROR_INVALID_VALUE;
  find_node(target)->attributes = find_node(source)->attributes;
  return CUDA_SUCCESS;
}

}  // extern "C"
