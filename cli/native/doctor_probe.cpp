// doctor_probe driver   what the driver says of itself and its cards
// doctor_probe hooks    under the shim: whether each door leads to it, and whether memory comes back as written
//
// Prints one JSON object; exit status 0 whenever it could be printed. Uses the driver API alone and loads it by name,
// as programs that this is about do.
#define __CUDA_API_VERSION_INTERNAL
#include <cuda.h>
#include <dlfcn.h>
#include <gnu/libc-version.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr size_t kTestBytes = size_t{48} << 20;  // above what the shim sub-allocates: a unit of its own

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    if (static_cast<unsigned char>(c) >= 0x20) out.push_back(c);
  }
  return out + "\"";
}

// File that holds the function, "" if unknown.
std::string file_of(const void* function) {
  Dl_info info{};
  return function != nullptr && dladdr(function, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : "";
}

class Driver {
 public:
  Driver() : library_(dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL)) {
    if (library_ == nullptr) error_ = dlerror();
  }

  bool found() const { return library_ != nullptr; }
  const std::string& error() const { return error_; }
  void* symbol(const char* name) const { return library_ == nullptr ? nullptr : dlsym(library_, name); }

  // Calls `name` if it exists; false, with the reason in error(), if it does not or does not return success.
  template <class F, class... A>
  bool call(const char* name, A... arguments) {
    auto* function = reinterpret_cast<F*>(symbol(name));
    if (function == nullptr) {
      error_ = std::string(name) + " is missing";
      return false;
    }
    const CUresult result = function(arguments...);
    if (result == CUDA_SUCCESS) return true;
    const char* text = nullptr;
    auto* describe = reinterpret_cast<decltype(&cuGetErrorName)>(symbol("cuGetErrorName"));
    if (describe == nullptr || describe(result, &text) != CUDA_SUCCESS || text == nullptr) text = "unknown error";
    error_ = std::string(name) + " returned " + text;
    return false;
  }

 private:
  void* library_;
  std::string error_;
};

#define CALL(driver, name, ...) (driver).call<decltype(name)>(#name, __VA_ARGS__)

std::string device_json(Driver& driver, int ordinal) {
  CUdevice device = 0;
  char name[128] = "";
  size_t total = 0;
  CUuuid uuid{};
  int vmm = 0;
  int major = 0;
  int minor = 0;
  if (!CALL(driver, cuDeviceGet, &device, ordinal) || !CALL(driver, cuDeviceGetName, name, int{sizeof name}, device) ||
      !CALL(driver, cuDeviceTotalMem_v2, &total, device) || !CALL(driver, cuDeviceGetUuid_v2, &uuid, device)) {
    return "{\"index\": " + std::to_string(ordinal) + ", \"error\": " + quoted(driver.error()) + "}";
  }
  CALL(driver, cuDeviceGetAttribute, &vmm, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, device);
  CALL(driver, cuDeviceGetAttribute, &major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device);
  CALL(driver, cuDeviceGetAttribute, &minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device);
  std::string hex;
  for (size_t i = 0; i < sizeof uuid.bytes; ++i) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned char>(uuid.bytes[i]));
    hex += two;
    if (i == 3 || i == 5 || i == 7 || i == 9) hex += "-";
  }
  return "{\"index\": " + std::to_string(ordinal) + ", \"name\": " + quoted(name) + ", \"uuid\": \"GPU-" + hex +
         "\", \"memory\": " + std::to_string(total) + ", \"vmm\": " + (vmm != 0 ? "true" : "false") +
         ", \"compute\": \"" + std::to_string(major) + "." + std::to_string(minor) + "\"}";
}

std::string driver_json() {
  std::string out = "{\"libc\": " + quoted(gnu_get_libc_version());
  Driver driver;
  if (!driver.found()) return out + ", \"error\": " + quoted(driver.error()) + "}";
  int version = 0;
  int count = 0;
  const bool versioned = CALL(driver, cuDriverGetVersion, &version);
  out += ", \"path\": " + quoted(file_of(driver.symbol("cuInit"))) + ", \"version\": " + std::to_string(version);
  if (!versioned || !CALL(driver, cuInit, 0U) || !CALL(driver, cuDeviceGetCount, &count)) {
    return out + ", \"error\": " + quoted(driver.error()) + "}";
  }
  out += ", \"devices\": [";
  for (int ordinal = 0; ordinal < count; ++ordinal) out += (ordinal == 0 ? "" : ", ") + device_json(driver, ordinal);
  return out + "]}";
}

// Writes a pattern to the card and reads it back through the shim. "" or what went wrong. The context stays until the
// process ends, so that the shim's last word is about its work and not about the context's end.
std::string round_trip(Driver& driver) {
  CUdevice device = 0;
  CUcontext context = nullptr;
  CUdeviceptr address = 0;
  if (!CALL(driver, cuInit, 0U) || !CALL(driver, cuDeviceGet, &device, 0) ||
      !CALL(driver, cuDevicePrimaryCtxRetain, &context, device) || !CALL(driver, cuCtxSetCurrent, context) ||
      !CALL(driver, cuMemAlloc_v2, &address, kTestBytes)) {
    return driver.error();
  }
  std::vector<uint32_t> written(kTestBytes / sizeof(uint32_t));
  for (size_t i = 0; i < written.size(); ++i) written[i] = static_cast<uint32_t>(i * 2654435761U);
  std::vector<uint32_t> read(written.size());
  std::string problem;
  if (!CALL(driver, cuMemcpyHtoD_v2, address, static_cast<const void*>(written.data()), kTestBytes) ||
      !CALL(driver, cuMemcpyDtoH_v2, static_cast<void*>(read.data()), address, kTestBytes)) {
    problem = driver.error();
  } else if (std::memcmp(written.data(), read.data(), kTestBytes) != 0) {
    problem = "memory did not come back as written";
  }
  if (!CALL(driver, cuMemFree_v2, address) && problem.empty()) problem = driver.error();
  return problem;
}

// What the shim says of its own hooks (a JSON object), "null" if it is not there.
std::string shim_json() {
  const auto selftest = reinterpret_cast<const char* (*)()>(dlsym(RTLD_DEFAULT, "loretoken_selftest"));
  const char* text = selftest == nullptr ? nullptr : selftest();
  return text == nullptr ? "null" : text;
}

std::string hooks_json() {
  Driver driver;
  void* asked = nullptr;
  CUdriverProcAddressQueryResult status{};
  CALL(driver, cuGetProcAddress_v2, "cuMemAlloc", &asked, 12080, cuuint64_t{CU_GET_PROC_ADDRESS_DEFAULT}, &status);
  return "{\"linked\": " + quoted(file_of(dlsym(RTLD_DEFAULT, "cuMemAlloc_v2"))) +
         ", \"dlsym\": " + quoted(file_of(driver.symbol("cuMemAlloc_v2"))) +
         ", \"proc_address\": " + quoted(file_of(asked)) + ", \"shim\": " + shim_json() +
         ", \"problem\": " + quoted(round_trip(driver)) + "}";
}

}  // namespace

int main(int count, char** words) {
  const std::string what = count == 2 ? words[1] : "";
  if (what != "driver" && what != "hooks") {
    std::fprintf(stderr, "usage: doctor_probe driver|hooks\n");
    return 2;
  }
  std::printf("%s\n", (what == "driver" ? driver_json() : hooks_json()).c_str());
  return std::fflush(stdout) == 0 ? 0 : 1;
}
