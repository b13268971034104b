// cuGetProcAddress: which variant a name gives under each version and stream flag.
#include <cstring>

#include "report.h"

namespace conformance {

namespace {

constexpr const char* kNames[] = {
#define NAME(name) #name,
#include "names.def"
#undef NAME
};

constexpr int kVersions[] = {2000,  2010,  3000,  3010,  3020,  4000,  4010,  5000,  5050,  6000,
                             6050,  7000,  7050,  8000,  9000,  9010,  9020,  10000, 10010, 10020,
                             11000, 11010, 11020, 11030, 11040, 11050, 11060, 11070, 11080, 12000,
                             12010, 12020, 12030, 12040, 12050, 12060, 12070, 12080, 12090, 13000};

// The exported symbol that an address belongs to, among the variants of the name.
std::string variant_of(const std::string& name, void* address) {
  if (!address) return "-";
  for (const char* version : {"", "_v2", "_v3", "_v4"})
    for (const char* streams : {"", "_ptsz", "_ptds"})
      if (const std::string variant = name + version + streams; symbol(variant.c_str()) == address) return variant;
  return "unexported";
}

struct Answer {
  CUresult status;
  CUdriverProcAddressQueryResult found;
  std::string variant;
  bool operator==(const Answer&) const = default;
};

Answer ask(const char* name, int version, cuuint64_t flags) {
  void* address = nullptr;
  auto found = static_cast<CUdriverProcAddressQueryResult>(77);
  const CUresult status = CU(cuGetProcAddress)(name, &address, version, flags, &found);
  return {status, found, status == CUDA_SUCCESS ? variant_of(name, address) : "-"};
}

std::string text_of(const Answer& answer) {
  std::string text = answer.variant;
  if (answer.status != CUDA_SUCCESS) text += " " + name_of(answer.status);
  if (answer.found != CU_GET_PROC_ADDRESS_SUCCESS) text += " found=" + std::to_string(static_cast<int>(answer.found));
  return text;
}

// "2000 cuMemAlloc; 3020 cuMemAlloc_v2": only where the answer changes.
std::string history(const char* name, cuuint64_t flags) {
  std::string text;
  Answer previous{};
  for (int version : kVersions) {
    const Answer answer = ask(name, version, flags);
    if (!text.empty() && answer == previous) continue;
    if (!text.empty()) text += "; ";
    text += std::to_string(version) + " " + text_of(answer);
    previous = answer;
  }
  return text;
}

void odd_questions() {
  for (const char* name : {"", "cuNoSuchFunction", "cudaMalloc", "cuMemAlloc_v2", "cuMemcpyAsync_ptsz", "nvmlInit"})
    say(std::string("name[") + name + "]", "%s", text_of(ask(name, 12000, 0)).c_str());
  for (int version : {-1, 0, 1, 1999, 13000, 13010, 14000, 99999})
    say("version[" + std::to_string(version) + "]", "%s", text_of(ask("cuMemAlloc", version, 0)).c_str());
  for (unsigned flags : {0u, 1u, 2u, 3u, 4u, 8u})
    say("flags[" + std::to_string(flags) + "]", "%s", text_of(ask("cuMemcpyHtoD", 12000, flags)).c_str());
  using OldStyle = CUresult (*)(const char*, void**, int, cuuint64_t);
  if (auto old = reinterpret_cast<OldStyle>(symbol("cuGetProcAddress"))) {
    void* address = nullptr;
    result("old.cuMemAlloc", old("cuMemAlloc", &address, 12000, 0));
    say("old.cuMemAlloc.variant", "%s", variant_of("cuMemAlloc", address).c_str());
    address = nullptr;
    result("old.cuNoSuchFunction", old("cuNoSuchFunction", &address, 12000, 0));
    say("old.cuNoSuchFunction.null", "%d", address == nullptr);
    result("old.future", old("cuMulticastCreate", &address, 11000, 0));
  }
}

}  // namespace

void section_procaddress() {
  odd_questions();
  for (const char* name : kNames) {
    const std::string standard = history(name, CU_GET_PROC_ADDRESS_DEFAULT);
    say(name, "%s", standard.c_str());
    if (const std::string legacy = history(name, CU_GET_PROC_ADDRESS_LEGACY_STREAM); legacy != standard)
      say(std::string(name) + "[legacy]", "%s", legacy.c_str());
    if (const auto per_thread = history(name, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM); per_thread != standard)
      say(std::string(name) + "[per thread]", "%s", per_thread.c_str());
  }
  // A null name or place for the address crashes the driver.
  void* address = nullptr;
  result("null_found", CU(cuGetProcAddress)("cuInit", &address, 12000, 0, nullptr));
}

}  // namespace conformance
