// User objects: reference-counted data whose destructor runs when no graph holds it. Stream attributes.
#include "api.h"
#include "graph.h"

using namespace loretoken::sim;

namespace {

// Takes references away; the last one's destructor runs without the lock.
CUresult drop(Lock& lock, const std::shared_ptr<UserObject>& object, unsigned count) {
  if (!count || count > object->refs) return CUDA_ERROR_INVALID_VALUE;
  object->refs -= count;
  if (object->refs) return CUDA_SUCCESS;
  state().user_objects.remove(object.get());
  lock.unlock();
  object->destroy(object->ptr);
  return CUDA_SUCCESS;
}

}  // namespace

extern "C" {

CUresult cuUserObjectCreate(CUuserObject* out, void* ptr, CUhostFn destroy, unsigned int refs, unsigned int flags) {
  SIM_API_LOCKED(cuUserObjectCreate, kInit);
  if (!out || !destroy || !refs || flags != CU_USER_OBJECT_NO_DESTRUCTOR_SYNC) return CUDA_ERROR_INVALID_VALUE;
  auto object = std::make_shared<UserObject>();
  object->ptr = ptr;
  object->destroy = destroy;
  object->refs = refs;
  state().user_objects.add(object);
  *out = as_handle<CUuserObject>(object.get());
  return CUDA_SUCCESS;
}

CUresult cuUserObjectRetain(CUuserObject handle, unsigned int count) {
  SIM_API_LOCKED(cuUserObjectRetain, kInit);
  auto object = state().user_objects.find(handle);
  if (!object || !count) return CUDA_ERROR_INVALID_VALUE;
  object->refs += count;
  return CUDA_SUCCESS;
}

CUresult cuUserObjectRelease(CUuserObject handle, unsigned int count) {
  SIM_API_LOCKED(cuUserObjectRelease, kInit);
  auto object = state().user_objects.find(handle);
  return object ? drop(lock, object, count) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuStreamSetAttribute(CUstream handle, CUstreamAttrID attribute, const CUstreamAttrValue* value) {
  SIM_API_LOCKED(cuStreamSetAttribute, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!value) return CUDA_ERROR_INVALID_VALUE;
  stream->attributes[attribute] = *value;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetAttribute(CUstream handle, CUstreamAttrID attribute, CUstreamAttrValue* out) {
  SIM_API_LOCKED(cuStreamGetAttribute, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  auto it = stream->attributes.find(attribute);
  *out = it == stream->attributes.end() ? CUstreamAttrValue{} : it->second;
  return CUDA_SUCCESS;
}

}  // extern "C"
