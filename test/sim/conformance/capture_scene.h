// What the capture sections work on.
#ifndef LORETOKEN_CONFORMANCE_CAPTURE_SCENE_H
#define LORETOKEN_CONFORMANCE_CAPTURE_SCENE_H

#include "report.h"

namespace conformance {

// Made before a capture begins.
struct Scene {
  CUstream captured, other, blocking;
  CUdeviceptr memory, pooled, to_free, reserved;
  CUmemGenericAllocationHandle handle;
  CUevent event, recorded;
  VmmRange mapped;
  void* pinned;
  CUgraphExec exec;
  CUmodule module;
  char host[4096];
};

Scene make_scene();
// "none", "active" or "invalidated".
std::string status_of(CUstream stream);

}  // namespace conformance

#endif  // LORETOKEN_CONFORMANCE_CAPTURE_SCENE_H
