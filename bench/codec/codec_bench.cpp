// Speed and ratio of the codec kernels on recorded tensors.
//
//   codec_bench <kernels image> <bench image> <csv or -> <tensor.bin>...
//
// Each tensor is tiled to 512 MiB. Every figure is the median of 20 runs, other memory read through L2 before each;
// speeds count uncompressed bytes. Unpacked bytes are compared with the source, from poisoned memory.
#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "driver.h"
#include "loretoken/codec.h"

using namespace bench;
using namespace loretoken;

namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kTotal = 512 * kMiB;
constexpr uint64_t kFlush = 256 * kMiB;  // several times any L2
constexpr int kRuns = 20;

std::vector<char> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  if (bytes.empty()) std::fprintf(stderr, "cannot read %s\n", path.c_str()), std::exit(1);
  return bytes;
}

CUdeviceptr allocate(uint64_t bytes) {
  CUdeviceptr p = 0;
  CHECK(cuMemAlloc_v2_p(&p, bytes));
  return p;
}

class Bench {
 public:
  Bench(const std::vector<char>& kernels, const std::vector<char>& own);
  void tensor(const std::string& path, FILE* csv);
  void small(const std::string& path);

 private:
  void tile(const std::string& path);
  void expect_equal(const char* what, uint64_t bytes);
  // Microseconds of `work`, median; the L2 cache is filled with other, clean lines first.
  double time(const std::function<void()>& work);
  Job job(uint64_t offset, uint64_t bytes, uint32_t slot) const;
  void expect_ok(uint32_t slot, const char* what) const;

  std::unique_ptr<Codec> codec_;
  CUfunction empty_, tile_, compare_;
  CUstream stream_;
  CUevent begin_, end_;
  CUdeviceptr tensor_, raw_, source_, blob_, plan_, flush_, differing_, table_;
  Result* results_ = nullptr;
  ScanList* list_ = nullptr;
  uint32_t epoch_ = 0;
};

Bench::Bench(const std::vector<char>& kernels, const std::vector<char>& own) {
  const DriverApi api{cuModuleLoadData_p, cuModuleUnload_p, cuModuleGetFunction_p, cuFuncSetAttribute_p,
                      cuLaunchKernel_p};
  auto loaded = Codec::load(api, kernels.data());
  if (!loaded.codec) std::fprintf(stderr, "%s: %d\n", loaded.failed, loaded.error), std::exit(1);
  codec_ = std::move(loaded.codec);
  CUmodule module;
  CHECK(cuModuleLoadData_p(&module, own.data()));
  CHECK(cuModuleGetFunction_p(&empty_, module, "bench_empty"));
  CHECK(cuModuleGetFunction_p(&tile_, module, "bench_tile"));
  CHECK(cuModuleGetFunction_p(&compare_, module, "bench_compare"));
  CHECK(cuStreamCreate_p(&stream_, CU_STREAM_NON_BLOCKING));
  CHECK(cuEventCreate_p(&begin_, CU_EVENT_DEFAULT));
  CHECK(cuEventCreate_p(&end_, CU_EVENT_DEFAULT));
  tensor_ = allocate(64 * kMiB);
  raw_ = allocate(kTotal);
  source_ = allocate(kTotal);
  blob_ = allocate(2 * kTotal);
  plan_ = allocate(64 * kMiB);
  flush_ = allocate(kFlush);
  differing_ = allocate(8);
  table_ = allocate(Codec::scan_table_bytes(1 << 16));
  CHECK(cuMemsetD8Async_p(plan_, 0, 64 * kMiB, stream_));
  CHECK(cuMemsetD8Async_p(flush_, 0, kFlush, stream_));
  CHECK(cuMemsetD8Async_p(table_, 0, Codec::scan_table_bytes(1 << 16), stream_));
  CHECK(cuMemHostAlloc_p(reinterpret_cast<void**>(&results_), 64 * sizeof(Result), CU_MEMHOSTALLOC_DEVICEMAP));
  CHECK(cuMemHostAlloc_p(reinterpret_cast<void**>(&list_), kMiB, CU_MEMHOSTALLOC_DEVICEMAP));
  CHECK(cuStreamSynchronize_p(stream_));
}

double Bench::time(const std::function<void()>& work) {
  std::vector<float> times;
  for (int run = 0; run < kRuns + 2; ++run) {
    const CUdeviceptr half = flush_ + kFlush / 2;
    uint64_t pieces = kFlush / 2 / 16;
    void* params[] = {const_cast<CUdeviceptr*>(&flush_), const_cast<CUdeviceptr*>(&half), &pieces, &differing_};
    CHECK(cuLaunchKernel_p(compare_, 2048, 1, 1, 256, 1, 1, 0, stream_, params, nullptr));
    CHECK(cuStreamSynchronize_p(stream_));
    CHECK(cuEventRecord_p(begin_, stream_));
    work();
    CHECK(cuEventRecord_p(end_, stream_));
    CHECK(cuStreamSynchronize_p(stream_));
    float ms = 0;
    CHECK(cuEventElapsedTime_v2_p(&ms, begin_, end_));
    if (run >= 2) times.push_back(ms);
  }
  std::sort(times.begin(), times.end());
  return 1000.0 * times[times.size() / 2];
}

void Bench::tile(const std::string& path) {
  const std::vector<char> bytes = read_file(path);
  const uint64_t size = std::min<uint64_t>(bytes.size() / 16 * 16, 64 * kMiB);
  CHECK(cuMemcpyHtoDAsync_v2_p(tensor_, bytes.data(), size, stream_));
  uint64_t pieces = size / 16, total = kTotal / 16;
  void* params[] = {&tensor_, &pieces, &source_, &total};
  CHECK(cuLaunchKernel_p(tile_, 2048, 1, 1, 256, 1, 1, 0, stream_, params, nullptr));
  CHECK(cuMemcpyDtoDAsync_v2_p(raw_, source_, kTotal, stream_));
  CHECK(cuStreamSynchronize_p(stream_));
}

void Bench::expect_equal(const char* what, uint64_t bytes) {
  unsigned long long differing = 0;
  CHECK(cuMemsetD8Async_p(differing_, 0, 8, stream_));
  uint64_t pieces = bytes / 16;
  void* params[] = {&raw_, &source_, &pieces, &differing_};
  CHECK(cuLaunchKernel_p(compare_, 2048, 1, 1, 256, 1, 1, 0, stream_, params, nullptr));
  CHECK(cuStreamSynchronize_p(stream_));
  CHECK(cuMemcpyDtoH_v2_p(&differing, differing_, 8));
  if (differing) std::fprintf(stderr, "%s: %llu words differ\n", what, differing), std::exit(1);
}

Job Bench::job(uint64_t offset, uint64_t bytes, uint32_t slot) const {
  const uint64_t plan = (Codec::plan_bytes(bytes) + 255) / 256 * 256;
  const uint64_t capacity = (Codec::max_direct_bytes(bytes) + 4095) / 4096 * 4096;
  return {raw_ + offset,           bytes,
          blob_ + slot * capacity, capacity,
          plan_ + slot * plan,     reinterpret_cast<CUdeviceptr>(results_ + slot)};
}

void Bench::expect_ok(uint32_t slot, const char* what) const {
  const Result& r = results_[slot];
  if (r.done == 1 && r.status == Status::kOk) return;
  std::fprintf(stderr, "%s: done %u status %u bad blocks %u first %u\n", what, r.done, static_cast<uint32_t>(r.status),
               r.bad_blocks, r.first_bad_block);
  std::exit(1);
}

void Bench::tensor(const std::string& path, FILE* csv) {
  tile(path);
  CHECK(cuMemsetD8Async_p(plan_, 0, kScratchBytes, stream_));
  const Job j = job(0, kTotal, 0);
  auto gbs = [](double us) { return static_cast<double>(kTotal) / us / 1000; };
  const double analyse = time([&] { CHECK(codec_->analyse(stream_, {&j, 1}, ~0u)); });
  const Result laid_out = results_[0];
  const double pack_only = time([&] { CHECK(codec_->pack(stream_, {&j, 1})); });
  expect_ok(0, "pack");
  const double pack = time([&] {
    CHECK(codec_->analyse(stream_, {&j, 1}, ~0u));
    CHECK(codec_->pack(stream_, {&j, 1}));
  });
  const double direct = time([&] { CHECK(codec_->pack_direct(stream_, {&j, 1}, ~0u)); });
  expect_ok(0, "pack_direct");
  const double verify = time([&] { CHECK(codec_->verify(stream_, {&j, 1})); });
  expect_ok(0, "verify");
  const double unchanged = time([&] { CHECK(codec_->unchanged(stream_, {&j, 1})); });
  expect_ok(0, "unchanged");
  if (results_[0].changed_blocks)
    std::fprintf(stderr, "%u blocks changed?\n", results_[0].changed_blocks), std::exit(1);
  const ScanRange range{raw_, kTotal, 0, 0};
  const ScanWindow window{0x7C1000000000, 0x7DEFFFFFFFFF};
  const double scan = time([&] {
    const ScanJob s{{&range, 1}, {&window, 1}, table_, 1 << 16, ++epoch_, reinterpret_cast<CUdeviceptr>(list_), 100000};
    CHECK(codec_->scan(stream_, s));
  });
  const uint32_t hits = list_->count;
  CHECK(cuMemsetD8Async_p(raw_, 0xA5, kTotal, stream_));
  const double unpack = time([&] { CHECK(codec_->unpack(stream_, {&j, 1})); });
  expect_ok(0, "unpack");
  expect_equal(path.c_str(), kTotal);

  const std::string name = path.substr(path.rfind('/') + 1);
  const double ratio = static_cast<double>(kTotal) / static_cast<double>(laid_out.blob_bytes);
  std::string codecs;
  for (uint32_t i = 0; i < kCodecCount; ++i)
    if (laid_out.codec_in[i])
      codecs += (codecs.empty() ? "" : "+") + std::to_string(i) + ":" +
                std::to_string(laid_out.codec_in[i] * 100 / kTotal) + "%";
  std::printf("%-40s %8.3f %8.0f %8.0f %8.0f %8.0f %8.0f %8.0f %8.0f %8.0f  %5u  %s\n", name.c_str(), ratio,
              gbs(unpack), gbs(direct), gbs(pack), gbs(analyse), gbs(pack_only), gbs(verify), gbs(unchanged), gbs(scan),
              hits, codecs.c_str());
  std::fflush(stdout);
  if (csv)
    std::fprintf(csv, "%s,%.4f,%.1f,%.1f,%.1f,%.1f,%.1f,%.1f,%.1f,%.1f,%u,%s\n", name.c_str(), ratio, gbs(unpack),
                 gbs(direct), gbs(pack), gbs(analyse), gbs(pack_only), gbs(verify), gbs(unchanged), gbs(scan), hits,
                 codecs.c_str());
}

// Latencies of small jobs: each run works on another part of the data, so nothing is in L2.
void Bench::small(const std::string& path) {
  tile(path);
  const double empty =
      time([&] { CHECK(cuLaunchKernel_p(empty_, 132, 1, 1, 256, 1, 1, 0, stream_, nullptr, nullptr)); });
  std::printf("\n%s\nempty launch %.2f us\n", path.c_str(), empty);
  for (const auto& [count, bytes] :
       {std::pair<uint32_t, uint64_t>{1, 2 * kMiB}, {1, 16 * kMiB}, {1, 64 * kMiB}, {64, 2 * kMiB}}) {
    std::vector<Job> jobs;
    for (uint32_t i = 0; i < count; ++i) {
      jobs.push_back(job(i * bytes, bytes, i));
      CHECK(cuMemsetD8Async_p(jobs.back().plan, 0, kScratchBytes, stream_));
    }
    const double total = static_cast<double>(count * bytes);
    auto gbs = [&](double us) { return total / us / 1000; };
    const double pack = time([&] {
      CHECK(codec_->analyse(stream_, jobs, ~0u));
      CHECK(codec_->pack(stream_, jobs));
    });
    for (uint32_t i = 0; i < count; ++i) expect_ok(i, "pack");
    const double unpack = time([&] { CHECK(codec_->unpack(stream_, jobs)); });
    for (Job& j : jobs) j.result = 0;
    const double silent = time([&] { CHECK(codec_->unpack(stream_, jobs)); });
    expect_equal("small", count * bytes);
    std::printf("%3u x %2llu MiB  unpack %7.2f us %6.0f GB/s  without result %7.2f us  pack %7.2f us %6.0f GB/s\n",
                count, static_cast<unsigned long long>(bytes / kMiB), unpack, gbs(unpack), silent, pack, gbs(pack));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: %s <kernels image> <bench image> <csv or -> <tensor.bin>...\n", argv[0]);
    return 2;
  }
  load_driver();
  CHECK(cuInit_p(0));
  CUdevice device;
  CUcontext context;
  char name[128];
  int version = 0;
  CHECK(cuDeviceGet_p(&device, 0));
  CHECK(cuDeviceGetName_p(name, sizeof name, device));
  CHECK(cuDriverGetVersion_p(&version));
  CHECK(cuDevicePrimaryCtxRetain_p(&context, device));
  CHECK(cuCtxSetCurrent_p(context));
  std::printf("%s, driver API %d\n", name, version);
  std::printf("%-40s %8s %8s %8s %8s %8s %8s %8s %8s %8s  %5s  %s\n", "tensor (512 MiB, GB/s of raw bytes)", "ratio",
              "unpack", "direct", "pack", "analyse", "pk only", "verify", "unchang", "scan", "hits", "codec:share");
  const std::string csv_path = argv[3];
  FILE* csv = csv_path == "-" ? nullptr : std::fopen(csv_path.c_str(), "w");
  if (csv)
    std::fprintf(csv,
                 "tensor,ratio,unpack_gbs,pack_direct_gbs,pack_gbs,analyse_gbs,pack_only_gbs,verify_gbs,unchanged_gbs,"
                 "scan_gbs,scan_"
                 "hits,codecs\n");
  Bench bench(read_file(argv[1]), read_file(argv[2]));
  for (int i = 4; i < argc; ++i) bench.tensor(argv[i], csv);
  bench.small(argv[4]);
  if (csv) std::fclose(csv);
  return 0;
}
