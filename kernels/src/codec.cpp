#include "loretoken/codec.h"

#include <algorithm>

#include "device/jobs.h"
#include "device/scan_params.h"

namespace loretoken {
namespace {

constexpr uint32_t kSampleThreads = 256, kTableThreads = 256, kLayoutThreads = 1024;

Jobs collect(std::span<const Job> jobs, CodecMask allowed, uint32_t& blocks) {
  Jobs out = {};
  out.count = static_cast<uint32_t>(jobs.size());
  out.allowed = allowed | codec_bit(CodecId::kRaw);
  std::fill(std::begin(out.first_block), std::end(out.first_block), ~0u);
  blocks = 0;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const Job& job = jobs[i];
    out.jobs[i] = {job.raw, job.raw_bytes, job.blob, job.blob_capacity, job.plan, job.result};
    out.first_block[i] = blocks;
    blocks += block_count_of(job.raw_bytes);
  }
  return out;
}

}  // namespace

struct Codec::Functions {
  CUfunction sample, tables, analyse, layout, finish, pack, pack_direct, verify, unpack, unchanged, scan;
};

Codec::Codec(const DriverApi& api) : api_(api), functions_(std::make_unique<Functions>()) {}

Codec::~Codec() {
  if (module_) api_.cuModuleUnload(module_);
}

Codec::Loaded Codec::load(const DriverApi& api, const void* image) {
  std::unique_ptr<Codec> codec(new Codec(api));
  if (const CUresult error = api.cuModuleLoadData(&codec->module_, image); error != CUDA_SUCCESS)
    return {nullptr, error, "cuModuleLoadData"};
  Functions& f = *codec->functions_;
  const struct {
    CUfunction* function;
    const char* name;
  } wanted[] = {{&f.sample, "lt_sample"},           {&f.tables, "lt_tables"},      {&f.analyse, "lt_analyse"},
                {&f.layout, "lt_layout"},           {&f.finish, "lt_finish"},      {&f.pack, "lt_pack"},
                {&f.verify, "lt_verify"},           {&f.unpack, "lt_unpack"},      {&f.scan, "lt_scan"},
                {&f.pack_direct, "lt_pack_direct"}, {&f.unchanged, "lt_unchanged"}};
  for (const auto& [function, name] : wanted)
    if (const CUresult error = api.cuModuleGetFunction(function, codec->module_, name); error != CUDA_SUCCESS)
      return {nullptr, error, name};
  const struct {
    CUfunction function;
    uint32_t bytes;
  } large[] = {{f.pack, kPackSharedBytes}, {f.pack_direct, kPackSharedBytes}, {f.verify, kVerifySharedBytes}};
  for (const auto& [function, bytes] : large)
    if (const CUresult error =
            api.cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, static_cast<int>(bytes));
        error != CUDA_SUCCESS)
      return {nullptr, error, "cuFuncSetAttribute"};
  return {std::move(codec), CUDA_SUCCESS, nullptr};
}

CUresult Codec::launch(CUstream stream, CUfunction function, uint32_t grid_x, uint32_t grid_y, uint32_t threads,
                       uint32_t shared_bytes, void* params) const {
  void* const list[] = {params};
  return api_.cuLaunchKernel(function, grid_x, grid_y, 1, threads, 1, 1, shared_bytes, stream, const_cast<void**>(list),
                             nullptr);
}

CUresult Codec::launch_finish(CUstream stream, void* jobs, uint32_t count, uint32_t direct) const {
  void* params[] = {jobs, &direct};
  return api_.cuLaunchKernel(functions_->finish, count, 1, 1, kLayoutThreads, 1, 1, 0, stream, params, nullptr);
}

template <class Launch>
CUresult Codec::for_each_batch(std::span<const Job> jobs, CodecMask allowed, Launch&& launch) {
  CUresult error = CUDA_SUCCESS;
  while (!jobs.empty() && error == CUDA_SUCCESS) {
    const auto part = jobs.first(std::min<std::size_t>(jobs.size(), kJobsPerLaunch));
    jobs = jobs.subspan(part.size());
    uint32_t blocks = 0;
    Jobs params = collect(part, allowed, blocks);
    error = launch(params, blocks);
  }
  return error;
}

// Sample and tables. Without a codec that has tables the sample is not needed, but the plan must still say so.
CUresult Codec::launch_tables(CUstream stream, CodecMask allowed, void* params, uint32_t count) const {
  constexpr CodecMask kTabled =
      codec_bit(CodecId::kExponent16) | codec_bit(CodecId::kExponentHalf) | codec_bit(CodecId::kExponent32);
  CUresult error = CUDA_SUCCESS;
  if (allowed & kTabled) error = launch(stream, functions_->sample, kSampleParts, count, kSampleThreads, 0, params);
  return error == CUDA_SUCCESS ? launch(stream, functions_->tables, count, 1, kTableThreads, 0, params) : error;
}

CUresult Codec::analyse(CUstream stream, std::span<const Job> jobs, CodecMask allowed) const {
  return for_each_batch(jobs, allowed, [&](Jobs& batch, uint32_t blocks) {
    CUresult error = launch_tables(stream, allowed, &batch, batch.count);
    if (error == CUDA_SUCCESS) error = launch(stream, functions_->analyse, blocks, 1, kBlockThreads, 0, &batch);
    return error == CUDA_SUCCESS ? launch(stream, functions_->layout, batch.count, 1, kLayoutThreads, 0, &batch)
                                 : error;
  });
}

CUresult Codec::pack(CUstream stream, std::span<const Job> jobs) const {
  return for_each_batch(jobs, 0, [&](Jobs& batch, uint32_t blocks) {
    const CUresult error = launch(stream, functions_->pack, blocks, 1, kBlockThreads, kPackSharedBytes, &batch);
    return error == CUDA_SUCCESS ? launch_finish(stream, &batch, batch.count, 0) : error;
  });
}

CUresult Codec::pack_direct(CUstream stream, std::span<const Job> jobs, CodecMask allowed) const {
  return for_each_batch(jobs, allowed, [&](Jobs& batch, uint32_t blocks) {
    CUresult error = launch_tables(stream, allowed, &batch, batch.count);
    if (error == CUDA_SUCCESS)
      error = launch(stream, functions_->pack_direct, blocks, 1, kBlockThreads, kPackSharedBytes, &batch);
    return error == CUDA_SUCCESS ? launch_finish(stream, &batch, batch.count, 1) : error;
  });
}

CUresult Codec::verify(CUstream stream, std::span<const Job> jobs) const {
  return for_each_batch(jobs, 0, [&](Jobs& batch, uint32_t blocks) {
    return launch(stream, functions_->verify, blocks, 1, kBlockThreads, kVerifySharedBytes, &batch);
  });
}

CUresult Codec::unpack(CUstream stream, std::span<const Job> jobs) const {
  return for_each_batch(jobs, 0, [&](Jobs& batch, uint32_t blocks) {
    return launch(stream, functions_->unpack, blocks, 1, kBlockThreads, 0, &batch);
  });
}

CUresult Codec::unchanged(CUstream stream, std::span<const Job> jobs) const {
  return for_each_batch(jobs, 0, [&](Jobs& batch, uint32_t blocks) {
    return launch(stream, functions_->unchanged, blocks, 1, kBlockThreads, 0, &batch);
  });
}

CUresult Codec::scan(CUstream stream, const ScanJob& job) const {
  if (job.windows.empty() || job.windows.size() > kScanWindows || job.epoch == 0 || job.epoch > kScanEpochs)
    return CUDA_ERROR_INVALID_VALUE;
  ScanParams params = {};
  params.window_count = static_cast<uint32_t>(job.windows.size());
  std::copy(job.windows.begin(), job.windows.end(), params.windows);
  uint64_t lowest = ~uint64_t{0}, highest = 0;
  for (const ScanWindow& window : job.windows) {
    lowest = std::min(lowest, window.lo);
    highest = std::max(highest, window.hi);
  }
  params.high_first = static_cast<uint32_t>(lowest >> 32);
  params.high_span = static_cast<uint32_t>(highest >> 32) - params.high_first;
  params.epoch = job.epoch;
  params.table = job.table;
  params.table_slots = job.table_slots;
  params.list = job.list;
  params.list_capacity = job.list_capacity;
  std::span<const ScanRange> left = job.ranges;
  do {
    const auto part = left.first(std::min<std::size_t>(left.size(), kScanRangesPerLaunch));
    left = left.subspan(part.size());
    std::fill(std::begin(params.first_chunk), std::end(params.first_chunk), ~0u);
    std::copy(part.begin(), part.end(), params.ranges);
    uint32_t chunks = 0;
    for (std::size_t i = 0; i < part.size(); ++i) {
      params.first_chunk[i] = chunks;
      chunks += static_cast<uint32_t>((part[i].bytes / 4 + kScanChunkWords - 1) / kScanChunkWords);
    }
    params.range_count = static_cast<uint32_t>(part.size());
    params.last_launch = left.empty();
    // An empty scan still publishes its list: one CTA over a range of no words.
    if (part.empty()) params.first_chunk[0] = 0, params.ranges[0] = {};
    const CUresult error = launch(stream, functions_->scan, std::max(chunks, 1u), 1, kScanThreads, 0, &params);
    if (error != CUDA_SUCCESS) return error;
  } while (!left.empty());
  return CUDA_SUCCESS;
}

uint64_t Codec::plan_bytes(uint64_t raw_bytes) {
  return sizeof(Plan) + sizeof(BlobEntry) * block_count_of(raw_bytes);
}

}  // namespace loretoken
