// Streams, events, ordering.
#include <chrono>
#include <thread>

#include "report.h"

namespace conformance {

namespace {

struct InHost {
  CUresult status = CUDA_SUCCESS;
  CUdeviceptr address = 0;
};

void unjoined_order(const char* what, CUstream first, CUstream second) {
  const CUdeviceptr p = allocate(4096);
  Blocked gate(first);
  CU(cuMemsetD8Async)(p, 1, 4096, first);
  CU(cuMemsetD8Async)(p, 2, 4096, second);
  CUresult pending = CUDA_ERROR_NOT_READY;
  for (int i = 0; i < 300 && pending == CUDA_ERROR_NOT_READY; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    pending = CU(cuStreamQuery)(second);
  }
  gate.release();
  CU(cuCtxSynchronize)();
  say(what, "second is %s behind the blocked first", pending == CUDA_ERROR_NOT_READY ? "waiting" : "done");
}

}  // namespace

void section_streams() {
  CUstream s = nullptr;
  unsigned flags = 9;
  int priority = 99;
  CUcontext context = nullptr;
  result("create(bad flags)", CU(cuStreamCreate)(&s, 0x10));
  result("create(null)", CU(cuStreamCreate)(nullptr, 0));
  result("create(priority -100)", CU(cuStreamCreateWithPriority)(&s, CU_STREAM_NON_BLOCKING, -100));
  result("priority", CU(cuStreamGetPriority)(s, &priority));
  say("clamped", "%d", priority);
  result("create(priority 100)", CU(cuStreamCreateWithPriority)(&s, 0, 100));
  CU(cuStreamGetPriority)(s, &priority);
  say("clamped low", "%d", priority);
  result("flags", CU(cuStreamGetFlags)(s, &flags));
  say("flags", "%u", flags);
  result("flags(stream 0)", CU(cuStreamGetFlags)(nullptr, &flags));
  say("flags(stream 0)", "%u", flags);
  result("context", CU(cuStreamGetCtx)(s, &context));
  say("context_is_primary", "%d", context == primary());
  unsigned long long first = 0, second = 0, legacy = 0, per_thread = 0;
  result("id", CU(cuStreamGetId)(s, &first));
  CU(cuStreamGetId)(make_stream(), &second);
  result("id(legacy)", CU(cuStreamGetId)(CU_STREAM_LEGACY, &legacy));
  CU(cuStreamGetId)(nullptr, &per_thread);
  say("ids", "differ %d, null is legacy %d", first != second, per_thread == legacy);
  result("query(stream 0)", CU(cuStreamQuery)(nullptr));
  result("query(per thread)", CU(cuStreamQuery)(CU_STREAM_PER_THREAD));
  result("destroy(stream 0)", CU(cuStreamDestroy)(nullptr));
  result("wait(null event)", CU(cuStreamWaitEvent)(s, nullptr, 0));
  result("host function(null)", CU(cuLaunchHostFunc)(s, nullptr, nullptr));
  result("callback(bad flags)", CU(cuStreamAddCallback)(
                                    s, [](CUstream, CUresult, void*) {}, nullptr, 1));

  const CUstream a = make_stream(), b = make_stream(), blocking = make_stream(CU_STREAM_DEFAULT);
  {
    Blocked gate(a);
    result("query blocked", CU(cuStreamQuery)(a));
    const CUevent event = make_event();
    result("record", CU(cuEventRecord)(event, a));
    result("event query blocked", CU(cuEventQuery)(event));
    result("wait", CU(cuStreamWaitEvent)(b, event, 0));
    result("query waiting stream", CU(cuStreamQuery)(b));
    result("destroy blocked stream", CU(cuStreamDestroy)(a));
    result("destroy pending event", CU(cuEventDestroy)(event));
    gate.release();
    result("sync waiting stream", CU(cuStreamSynchronize)(b));
    result("query after", CU(cuStreamQuery)(b));
  }
  const CUstream c = make_stream();
  unjoined_order("non-blocking against non-blocking", c, b);
  unjoined_order("legacy against blocking", nullptr, blocking);
  unjoined_order("blocking against legacy", blocking, nullptr);
  unjoined_order("legacy against non-blocking", nullptr, c);
  unjoined_order("per thread against legacy", CU_STREAM_PER_THREAD, nullptr);

  const CUdeviceptr word = allocate(256);
  CU(cuMemsetD8Async)(word, 0, 256, b);  // a plain set is queued on a stream that b does not wait for
  result("write value", CU(cuStreamWriteValue32)(b, word, 5, 0));
  result("wait value", CU(cuStreamWaitValue32)(b, word, 5, CU_STREAM_WAIT_VALUE_EQ));
  result("wait value unaligned", CU(cuStreamWaitValue32)(b, word + 2, 5, CU_STREAM_WAIT_VALUE_EQ));
  result("write value 64", CU(cuStreamWriteValue64)(b, word + 8, 7, 0));
  result("wait value(bad address)", CU(cuStreamWaitValue32)(b, 0x1234, 5, CU_STREAM_WAIT_VALUE_EQ));
  result("sync values", CU(cuStreamSynchronize)(b));
  say("values hash", "%016llx", static_cast<unsigned long long>(hash_of(word, 256)));

  InHost in_host;
  auto body = [](void* data) {
    auto* inside = static_cast<InHost*>(data);
    inside->status = CU(cuMemAlloc)(&inside->address, 256);
  };
  result("host function", CU(cuLaunchHostFunc)(b, body, &in_host));
  CU(cuStreamSynchronize)(b);
  result("cuMemAlloc inside a host function", in_host.status);
}

void section_events() {
  CUevent e = nullptr;
  float ms = 0;
  result("create(bad flags)", CU(cuEventCreate)(&e, 0x100));
  result("create(null)", CU(cuEventCreate)(nullptr, 0));
  result("create(interprocess, timed)", CU(cuEventCreate)(&e, CU_EVENT_INTERPROCESS));
  const CUevent fresh = make_event(CU_EVENT_DEFAULT), other = make_event(CU_EVENT_DEFAULT), untimed = make_event();
  result("query fresh", CU(cuEventQuery)(fresh));
  result("synchronize fresh", CU(cuEventSynchronize)(fresh));
  result("elapsed of fresh", CU(cuEventElapsedTime)(&ms, fresh, other));
  const CUstream s = make_stream();
  result("wait for fresh", CU(cuStreamWaitEvent)(s, fresh, 0));
  result("wait with bad flags", CU(cuStreamWaitEvent)(s, fresh, 99));
  CU(cuEventRecord)(fresh, s);
  CU(cuEventRecord)(other, s);
  CU(cuEventRecord)(untimed, s);
  result("synchronize", CU(cuEventSynchronize)(other));
  result("elapsed", CU(cuEventElapsedTime)(&ms, fresh, other));
  say("elapsed_not_negative", "%d", ms >= 0);
  CU(cuStreamSynchronize)(s);
  result("elapsed of untimed", CU(cuEventElapsedTime)(&ms, fresh, untimed));
  result("elapsed(null)", CU(cuEventElapsedTime)(nullptr, fresh, other));
  result("record(null)", CU(cuEventRecord)(nullptr, s));
  result("query(null)", CU(cuEventQuery)(nullptr));
  result("destroy(null)", CU(cuEventDestroy)(nullptr));
  result("record with flags", CU(cuEventRecordWithFlags)(untimed, s, 0));
  result("record external outside capture", CU(cuEventRecordWithFlags)(untimed, s, CU_EVENT_RECORD_EXTERNAL));
  {
    Blocked gate(s);
    CU(cuEventRecord)(other, s);
    result("elapsed of pending", CU(cuEventElapsedTime)(&ms, fresh, other));
    gate.release();
  }
  result("synchronize stream", CU(cuStreamSynchronize)(s));
  result("destroy", CU(cuEventDestroy)(fresh));
}

}  // namespace conformance
