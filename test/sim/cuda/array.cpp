// CUDA arrays, and the texture and surface objects over them. Objects are handles; kernels do not sample.
#include "array.h"

#include <algorithm>

#include "allocate.h"
#include "api.h"
#include "capture.h"
#include "copy.h"

using namespace loretoken::sim;

namespace {

size_t element_bytes(CUarray_format format) {
  switch (format) {
    case CU_AD_FORMAT_UNSIGNED_INT8:
    case CU_AD_FORMAT_SIGNED_INT8:
      return 1;
    case CU_AD_FORMAT_UNSIGNED_INT16:
    case CU_AD_FORMAT_SIGNED_INT16:
    case CU_AD_FORMAT_HALF:
      return 2;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
    case CU_AD_FORMAT_FLOAT:
      return 4;
    default:
      return 0;
  }
}

CUresult create(Lock& lock, ApiCall& api, CUarray* out, const CUDA_ARRAY3D_DESCRIPTOR& shape) {
  const size_t element = element_bytes(shape.Format);
  const bool channels = shape.NumChannels == 1 || shape.NumChannels == 2 || shape.NumChannels == 4;
  if (!element || !channels || !shape.Width || (shape.Depth && !shape.Height && !(shape.Flags & CUDA_ARRAY3D_LAYERED)))
    return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_unsafe_call()) return error;
  auto array = std::make_shared<Array>();
  array->shape = shape;
  array->pitch = round_up(shape.Width * element * shape.NumChannels, 32);
  array->height = std::max<size_t>(shape.Height, 1);
  array->depth = std::max<size_t>(shape.Depth, 1);
  const size_t bytes = array->pitch * array->height * array->depth;
  if (CUresult error = allocate_device(lock, api.ctx, bytes, Kind::kDevice, &array->base)) return error;
  array->memory = find_allocation(array->base);
  state().arrays.add(array);
  *out = as_handle<CUarray>(array.get());
  return CUDA_SUCCESS;
}

CUresult check_resource(const CUDA_RESOURCE_DESC& resource) {
  switch (resource.resType) {
    case CU_RESOURCE_TYPE_ARRAY:
      return state().arrays.find(resource.res.array.hArray) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
    case CU_RESOURCE_TYPE_LINEAR:
      return check_address(resource.res.linear.devPtr, resource.res.linear.sizeInBytes);
    case CU_RESOURCE_TYPE_PITCH2D:
      return check_address(resource.res.pitch2D.devPtr, 1);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

std::shared_ptr<TexObject> object_of(const Table<TexObject>& table, unsigned long long handle) {
  return table.find(reinterpret_cast<void*>(handle));
}

}  // namespace

extern "C" {

CUresult cuArray3DCreate_v2(CUarray* out, const CUDA_ARRAY3D_DESCRIPTOR* shape) {
  SIM_API_LOCKED(cuArray3DCreate_v2, kContext);
  if (!out || !shape) return CUDA_ERROR_INVALID_VALUE;
  return create(lock, api, out, *shape);
}

CUresult cuArrayCreate_v2(CUarray* out, const CUDA_ARRAY_DESCRIPTOR* shape) {
  SIM_API_LOCKED(cuArrayCreate_v2, kContext);
  if (!out || !shape) return CUDA_ERROR_INVALID_VALUE;
  return create(lock, api, out, {shape->Width, shape->Height, 0, shape->Format, shape->NumChannels, 0});
}

CUresult cuArrayDestroy(CUarray handle) {
  SIM_API_LOCKED(cuArrayDestroy, kContext);
  auto array = state().arrays.find(handle);
  if (!array) return CUDA_ERROR_INVALID_HANDLE;
  if (CUresult error = refuse_unsafe_call()) return error;
  state().arrays.remove(handle);
  wait(lock, pending_of_device(array->memory->device));
  if (state().allocations.count(array->base)) release(*array->memory);
  return CUDA_SUCCESS;
}

CUresult cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR* shape, CUarray handle) {
  SIM_API_LOCKED(cuArray3DGetDescriptor_v2, kContext);
  auto array = state().arrays.find(handle);
  if (!array) return CUDA_ERROR_INVALID_HANDLE;
  if (!shape) return CUDA_ERROR_INVALID_VALUE;
  *shape = array->shape;
  return CUDA_SUCCESS;
}

CUresult cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR* shape, CUarray handle) {
  SIM_API_LOCKED(cuArrayGetDescriptor_v2, kContext);
  auto array = state().arrays.find(handle);
  if (!array) return CUDA_ERROR_INVALID_HANDLE;
  if (!shape) return CUDA_ERROR_INVALID_VALUE;
  *shape = {array->shape.Width, array->shape.Height, array->shape.Format, array->shape.NumChannels};
  return CUDA_SUCCESS;
}

CUresult cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS* out, CUarray handle, CUdevice device) {
  SIM_API_LOCKED(cuArrayGetMemoryRequirements, kContext);
  auto array = state().arrays.find(handle);
  if (!array) return CUDA_ERROR_INVALID_HANDLE;
  if (!out || !find_device(device)) return CUDA_ERROR_INVALID_VALUE;
  *out = {};
  out->size = round_up(array->memory->size, 65536);
  out->alignment = 65536;
  return CUDA_SUCCESS;
}

CUresult cuTexObjectCreate(CUtexObject* out, const CUDA_RESOURCE_DESC* resource, const CUDA_TEXTURE_DESC* texture,
                           const CUDA_RESOURCE_VIEW_DESC* view) {
  SIM_API_LOCKED(cuTexObjectCreate, kContext);
  if (!out || !resource || !texture) return CUDA_ERROR_INVALID_VALUE;
  if (view && resource->resType != CU_RESOURCE_TYPE_ARRAY) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = check_resource(*resource)) return error;
  auto object = std::make_shared<TexObject>();
  object->resource = *resource;
  object->texture = *texture;
  object->has_view = view != nullptr;
  if (view) object->view = *view;
  state().textures.add(object);
  *out = reinterpret_cast<CUtexObject>(object.get());
  return CUDA_SUCCESS;
}

CUresult cuTexObjectDestroy(CUtexObject handle) {
  SIM_API_LOCKED(cuTexObjectDestroy, kContext);
  return state().textures.remove(reinterpret_cast<void*>(handle)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC* out, CUtexObject handle) {
  SIM_API_LOCKED(cuTexObjectGetResourceDesc, kContext);
  auto object = object_of(state().textures, handle);
  if (!out || !object) return CUDA_ERROR_INVALID_VALUE;
  *out = object->resource;
  return CUDA_SUCCESS;
}

CUresult cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC* out, CUtexObject handle) {
  SIM_API_LOCKED(cuTexObjectGetTextureDesc, kContext);
  auto object = object_of(state().textures, handle);
  if (!out || !object) return CUDA_ERROR_INVALID_VALUE;
  *out = object->texture;
  return CUDA_SUCCESS;
}

CUresult cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC* out, CUtexObject handle) {
  SIM_API_LOCKED(cuTexObjectGetResourceViewDesc, kContext);
  auto object = object_of(state().textures, handle);
  if (!out || !object || !object->has_view) return CUDA_ERROR_INVALID_VALUE;
  *out = object->view;
  return CUDA_SUCCESS;
}

CUresult cuSurfObjectCreate(CUsurfObject* out, const CUDA_RESOURCE_DESC* resource) {
  SIM_API_LOCKED(cuSurfObjectCreate, kContext);
  if (!out || !resource || resource->resType != CU_RESOURCE_TYPE_ARRAY) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = check_resource(*resource)) return error;
  auto object = std::make_shared<TexObject>();
  object->resource = *resource;
  state().surfaces.add(object);
  *out = reinterpret_cast<CUsurfObject>(object.get());
  return CUDA_SUCCESS;
}

CUresult cuSurfObjectDestroy(CUsurfObject handle) {
  SIM_API_LOCKED(cuSurfObjectDestroy, kContext);
  return state().surfaces.remove(reinterpret_cast<void*>(handle)) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC* out, CUsurfObject handle) {
  SIM_API_LOCKED(cuSurfObjectGetResourceDesc, kContext);
  auto object = object_of(state().surfaces, handle);
  if (!out || !object) return CUDA_ERROR_INVALID_VALUE;
  *out = object->resource;
  return CUDA_SUCCESS;
}

}  // extern "C"
