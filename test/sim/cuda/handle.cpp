#include "handle.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocate.h"
#include "api.h"

namespace loretoken::sim {

int handle_fd(const Handle& handle) {
  return handle.fd >= 0 ? handle.fd : find_device(handle.device)->memory.fd();
}

void drop_if_unused(const std::shared_ptr<Handle>& handle) {
  if (handle->refs || handle->maps) return;
  if (handle->fd >= 0) close(handle->fd);
  if (handle->device >= 0) {
    DeviceMemory& memory = find_device(handle->device)->memory;
    if (handle->fd < 0) memory.give(handle->offset, handle->size);
    memory.uncharge(handle->size);
    publish(handle->device);
  }
  state().handles.remove(handle.get());
}

namespace {

std::shared_ptr<Handle> handle_of(CUmemGenericAllocationHandle value) {
  auto handle = state().handles.find(reinterpret_cast<void*>(value));
  return handle && handle->refs ? handle : nullptr;
}

CUresult check(const CUmemAllocationProp* prop) {
  if (!prop || prop->type != CU_MEM_ALLOCATION_TYPE_PINNED) return CUDA_ERROR_INVALID_VALUE;
  switch (prop->location.type) {
    case CU_MEM_LOCATION_TYPE_DEVICE:
      if (!find_device(prop->location.id)) return CUDA_ERROR_INVALID_DEVICE;
      break;
    case CU_MEM_LOCATION_TYPE_HOST:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA:
      break;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
  const auto types = prop->requestedHandleTypes;
  if (types != CU_MEM_HANDLE_TYPE_NONE && types != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
    return CUDA_ERROR_NOT_SUPPORTED;
  return CUDA_SUCCESS;
}

int memory_file(uint64_t size) {
  const int fd = memfd_create("loretoken-sim-handle", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(size)) == 0) return fd;
  close(fd);
  return -1;
}

// Copies the pattern into a handle that has a file of its own, through a mapping that lasts only here.
void poison_file(const DeviceMemory& memory, int fd, uint64_t size) {
  if (void* view = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0); view != MAP_FAILED) {
    memory.fill(static_cast<char*>(view), size);
    munmap(view, size);
  }
}

}  // namespace

}  // namespace loretoken::sim

using namespace loretoken::sim;

extern "C" {

CUresult cuMemCreate(CUmemGenericAllocationHandle* out, size_t size, const CUmemAllocationProp* prop,
                     unsigned long long flags) {
  SIM_API_LOCKED(cuMemCreate, kInit);
  if (!out || !size || size % kGranularity || flags) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = check(prop)) return error;
  auto handle = std::make_shared<Handle>();
  handle->prop = *prop;
  handle->size = size;
  handle->block_id = state().next_id++;
  const bool on_device = prop->location.type == CU_MEM_LOCATION_TYPE_DEVICE;
  const bool own_file = !on_device || prop->requestedHandleTypes == CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  if (own_file && (handle->fd = memory_file(size)) < 0) return CUDA_ERROR_OUT_OF_MEMORY;
  if (on_device) {
    handle->device = prop->location.id;
    DeviceMemory& memory = find_device(handle->device)->memory;
    bool charged = memory.charge(size);
    if (!charged) {
      trim_pools(handle->device);
      charged = memory.charge(size);
    }
    if (!charged) {
      if (own_file) close(handle->fd);
      return CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (!own_file && !memory.take(size, handle->offset)) {
      memory.uncharge(size);
      return CUDA_ERROR_OUT_OF_MEMORY;
    }
    publish(handle->device);
    lock.unlock();
    if (own_file) {
      poison_file(memory, handle->fd, size);
    } else {
      memory.poison(handle->offset, size);
    }
    lock.lock();
  }
  state().handles.add(handle);
  *out = reinterpret_cast<CUmemGenericAllocationHandle>(handle.get());
  return CUDA_SUCCESS;
}

CUresult cuMemRelease(CUmemGenericAllocationHandle value) {
  SIM_API_LOCKED(cuMemRelease, kInit);
  auto handle = handle_of(value);
  if (!handle) return CUDA_ERROR_INVALID_VALUE;
  --handle->refs;
  drop_if_unused(handle);
  return CUDA_SUCCESS;
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle* out, void* address) {
  SIM_API_LOCKED(cuMemRetainAllocationHandle, kInit);
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  Mapping* mapping = find_mapping(reinterpret_cast<uintptr_t>(address));
  if (!mapping) return CUDA_ERROR_INVALID_VALUE;
  ++mapping->handle->refs;
  *out = reinterpret_cast<CUmemGenericAllocationHandle>(mapping->handle.get());
  return CUDA_SUCCESS;
}

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp* prop, CUmemGenericAllocationHandle value) {
  SIM_API_LOCKED(cuMemGetAllocationPropertiesFromHandle, kInit);
  auto handle = handle_of(value);
  if (!prop || !handle) return CUDA_ERROR_INVALID_VALUE;
  *prop = handle->prop;
  return CUDA_SUCCESS;
}

CUresult cuMemGetAllocationGranularity(size_t* granularity, const CUmemAllocationProp* prop,
                                       CUmemAllocationGranularity_flags option) {
  SIM_API_LOCKED(cuMemGetAllocationGranularity, kInit);
  if (!granularity || (option != CU_MEM_ALLOC_GRANULARITY_MINIMUM && option != CU_MEM_ALLOC_GRANULARITY_RECOMMENDED))
    return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = check(prop)) return error;
  *granularity = kGranularity;
  return CUDA_SUCCESS;
}

CUresult cuMemExportToShareableHandle(void* out, CUmemGenericAllocationHandle value, CUmemAllocationHandleType type,
                                      unsigned long long flags) {
  SIM_API_LOCKED(cuMemExportToShareableHandle, kInit);
  auto handle = handle_of(value);
  if (!out || !handle || flags) return CUDA_ERROR_INVALID_VALUE;
  if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR || !(handle->prop.requestedHandleTypes & type))
    return CUDA_ERROR_INVALID_VALUE;
  *static_cast<int*>(out) = fcntl(handle->fd, F_DUPFD_CLOEXEC, 0);
  return CUDA_SUCCESS;
}

CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle* out, void* os_handle,
                                        CUmemAllocationHandleType type) {
  SIM_API_LOCKED(cuMemImportFromShareableHandle, kInit);
  if (!out || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_INVALID_VALUE;
  const int fd = static_cast<int>(reinterpret_cast<intptr_t>(os_handle));
  struct stat theirs {};
  if (fstat(fd, &theirs) != 0) return CUDA_ERROR_UNKNOWN;
  if (theirs.st_size == 0 || static_cast<uint64_t>(theirs.st_size) % kGranularity) return CUDA_ERROR_INVALID_VALUE;
  for (auto& [key, handle] : state().handles.all()) {
    struct stat ours {};
    if (handle->fd < 0 || fstat(handle->fd, &ours) != 0 || ours.st_ino != theirs.st_ino) continue;
    ++handle->refs;
    *out = reinterpret_cast<CUmemGenericAllocationHandle>(handle.get());
    return CUDA_SUCCESS;
  }
  // From another process: that process pays for the memory.
  auto handle = std::make_shared<Handle>();
  handle->prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  handle->prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  handle->prop.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  handle->size = static_cast<uint64_t>(theirs.st_size);
  handle->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  handle->block_id = state().next_id++;
  state().handles.add(handle);
  *out = reinterpret_cast<CUmemGenericAllocationHandle>(handle.get());
  return CUDA_SUCCESS;
}

}  // extern "C"
