// The codec's kernels: where their image is, loading them, and a check that they work before anything is entrusted to
// them.
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/log.h"
#include "driver/driver.h"
#include "loretoken/codec.h"
#include "runtime/factories.h"

namespace loretoken {
namespace {

// LORETOKEN_KERNELS, else the fatbin beside this library.
std::string image_path() {
  if (!settings().kernels.empty()) return settings().kernels;
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(&image_path), &info) == 0 || info.dli_fname == nullptr) return {};
  const std::string library = info.dli_fname;
  const size_t slash = library.rfind('/');
  return (slash == std::string::npos ? std::string() : library.substr(0, slash + 1)) + "loretoken_kernels.fatbin";
}

bool read_file(const std::string& path, std::vector<char>* content) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  struct stat status {};
  bool good = fstat(file, &status) == 0;
  if (good) content->resize(static_cast<size_t>(status.st_size));
  for (size_t at = 0; good && at < content->size();) {
    const ssize_t got = read(file, content->data() + at, content->size() - at);
    good = got > 0;
    at += good ? static_cast<size_t>(got) : 0;
  }
  close(file);
  return good && !content->empty();
}

// Device memory and a stream for the check, given back at the end. Plain driver memory: nothing of ours stands yet.
struct Bench {
  static constexpr uint64_t kRaw = 192 * 1024 + 16;  // three blocks and a short one
  CUdeviceptr raw = 0, copy = 0, blob = 0, plan = 0;
  void* result = nullptr;
  CUstream stream = nullptr;
  bool good = false;

  Bench() {
    good = driver().cuMemAlloc_v2(&raw, kRaw) == CUDA_SUCCESS && driver().cuMemAlloc_v2(&copy, kRaw) == CUDA_SUCCESS &&
           driver().cuMemAlloc_v2(&blob, Codec::max_blob_bytes(kRaw)) == CUDA_SUCCESS &&
           driver().cuMemAlloc_v2(&plan, Codec::plan_bytes(kRaw)) == CUDA_SUCCESS &&
           driver().cuMemHostAlloc(&result, sizeof(Result), CU_MEMHOSTALLOC_DEVICEMAP) == CUDA_SUCCESS &&
           driver().cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS &&
           driver().cuMemsetD8Async(plan, 0, Codec::plan_bytes(kRaw), stream) == CUDA_SUCCESS &&
           driver().cuMemsetD8Async(copy, 0x5A, kRaw, stream) == CUDA_SUCCESS;
  }
  ~Bench() {
    if (stream != nullptr) driver().cuStreamDestroy_v2(stream);
    if (result != nullptr) driver().cuMemFreeHost(result);
    for (const CUdeviceptr address : {raw, copy, blob, plan}) {
      if (address != 0) driver().cuMemFree_v2(address);
    }
  }
  bool settled(CUresult queued) const {
    return queued == CUDA_SUCCESS && driver().cuStreamSynchronize(stream) == CUDA_SUCCESS;
  }
};

// A mixture that every codec of the default set sees: zeros, a ramp, noise.
std::vector<uint32_t> sample() {
  std::vector<uint32_t> words(Bench::kRaw / 4);
  uint32_t noise = 1;
  for (size_t i = 0; i < words.size(); ++i) {
    noise = noise * 1664525u + 1013904223u;
    const size_t third = i * 3 / words.size();
    words[i] = third == 0 ? (i % 61 == 0 ? noise : 0) : third == 1 ? 0x3F800000u | (noise >> 12) : noise;
  }
  return words;
}

bool works(const Codec& codec) {
  const Bench bench;
  if (!bench.good) return false;
  const std::vector<uint32_t> words = sample();
  // On the stream of the kernels: what the plain calls queue, they would not wait for.
  if (!bench.settled(driver().cuMemcpyHtoDAsync_v2(bench.raw, words.data(), Bench::kRaw, bench.stream))) return false;
  CUdeviceptr result = 0;
  if (driver().cuMemHostGetDevicePointer_v2(&result, bench.result, 0) != CUDA_SUCCESS) return false;
  auto* figures = static_cast<volatile Result*>(bench.result);
  const Job pack{bench.raw, Bench::kRaw, bench.blob, Codec::max_blob_bytes(Bench::kRaw), bench.plan, result};
  if (!bench.settled(codec.analyse(bench.stream, {&pack, 1}, kDecodableCodecs))) return false;
  if (!bench.settled(codec.pack(bench.stream, {&pack, 1})) || figures->status != Status::kOk) return false;
  if (!bench.settled(codec.verify(bench.stream, {&pack, 1})) || figures->status != Status::kOk) return false;
  Job unpack = pack;
  unpack.raw = bench.copy;
  if (!bench.settled(codec.unpack(bench.stream, {&unpack, 1})) || figures->status != Status::kOk) return false;
  std::vector<uint32_t> back(words.size());
  return driver().cuMemcpyDtoH_v2(back.data(), bench.copy, Bench::kRaw) == CUDA_SUCCESS && back == words;
}

}  // namespace

std::unique_ptr<Codec> make_codec(DeviceRuntime&) {
  const std::string path = image_path();
  std::vector<char> image;
  if (!read_file(path, &image)) {
    log_error("the kernel image %s cannot be read (LORETOKEN_KERNELS names another)", path.c_str());
    return nullptr;
  }
  const Driver& d = driver();
  const DriverApi api{d.cuModuleLoadData, d.cuModuleUnload, d.cuModuleGetFunction, d.cuFuncSetAttribute,
                      d.cuLaunchKernel};
  Codec::Loaded loaded = Codec::load(api, image.data());
  if (loaded.codec == nullptr) {
    log_error("the kernels in %s do not load: %s failed with error %d", path.c_str(),
              loaded.failed == nullptr ? "the module" : loaded.failed, static_cast<int>(loaded.error));
    return nullptr;
  }
  if (!works(*loaded.codec)) {
    log_error("the kernels in %s failed their check on a small buffer", path.c_str());
    return nullptr;
  }
  return std::move(loaded.codec);
}

}  // namespace loretoken
