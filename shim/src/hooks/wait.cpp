// Calls by which a program learns that the GPU is done: what they let it read is whole, or they say that it is not.
#include "hooks/hooks.h"
#include "residency/access.h"

namespace loretoken::hooks {
namespace {

CUresult done(CUresult result) {
  return result == CUDA_SUCCESS ? damage_found() : result;
}

}  // namespace

CUresult cuCtxSynchronize() {
  return done(driver().cuCtxSynchronize());
}
CUresult cuCtxSynchronize_v2(CUcontext context) {
  return done(driver().cuCtxSynchronize_v2(context));
}

CUresult cuEventQuery(CUevent event) {
  return done(driver().cuEventQuery(event));
}
CUresult cuEventSynchronize(CUevent event) {
  return done(driver().cuEventSynchronize(event));
}

CUresult cuStreamQuery(CUstream stream, bool per_thread) {
  return done(LORETOKEN_REAL_PT(cuStreamQuery, cuStreamQuery_ptsz, per_thread)(stream));
}
CUresult cuStreamSynchronize(CUstream stream, bool per_thread) {
  return done(LORETOKEN_REAL_PT(cuStreamSynchronize, cuStreamSynchronize_ptsz, per_thread)(stream));
}

}  // namespace loretoken::hooks
