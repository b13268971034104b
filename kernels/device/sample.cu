// First step of the analysis: a sample of each job's half words, then its element type and code table.
//
//   lt_sample   16 CTAs a job: histograms of bits 7…14 of upper and lower half words over chunks spread over the job
//   lt_tables   one CTA a job: which element type costs fewest bits, then the joint code for its exponents
#include "block.cuh"

namespace loretoken {

constexpr uint32_t kSampleThreads = 256;
constexpr uint32_t kChunkBytes = 512;
constexpr uint32_t kChunksPerWarp = 4;
constexpr uint32_t kTableThreads = 256;

__device__ inline uint32_t mix(uint32_t x) {
  x *= 0x9E3779B1u;
  x ^= x >> 16;
  x *= 0x85EBCA77u;
  return x ^ x >> 13;
}

// The most frequent symbols, at most 14, all within the 62 values that six bits can tell apart (0 stands for itself).
struct Symbols {
  uint32_t count, base;
  float bits;  // what the sampled values would cost: an ideal code, 32 bits more for each that needs a patch
  uint32_t value[kMaxSymbols], frequency[kMaxSymbols];
};

// Run by one warp; `histogram` has 256 bins. Frequencies of the rest are added to the first symbol, their placeholder.
__device__ inline void choose_symbols(const uint32_t* histogram, Symbols& out) {
  uint32_t bins[8], total = 0;
#pragma unroll
  for (int k = 0; k < 8; ++k) total += bins[k] = histogram[lane_id() + 32 * k];
  total = __reduce_add_sync(~0u, total);
  uint32_t low = ~0u, high = 0, count = 0, covered = 0;
  while (count < kMaxSymbols) {
    uint32_t best = 0;
#pragma unroll
    for (int k = 0; k < 8; ++k) best = max(best, bins[k] ? bins[k] << 8 | (lane_id() + 32 * k) : 0);
    best = __reduce_max_sync(~0u, best);
    if (!best) break;
    const uint32_t symbol = best & 255;
#pragma unroll
    for (int k = 0; k < 8; ++k)
      if (symbol == lane_id() + 32 * k) bins[k] = 0;
    if (symbol && high && max(high, symbol) - min(low, symbol) > 61) continue;
    if (symbol) low = min(low, symbol), high = max(high, symbol);
    if (lane_id() == 0) out.value[count] = symbol, out.frequency[count] = best >> 8;
    covered += best >> 8;
    ++count;
  }
  if (lane_id() == 0 && count) out.frequency[0] += total - covered;
  __syncwarp();
  float bits = 0;
  if (lane_id() < count) {
    const auto frequency = static_cast<float>(out.frequency[lane_id()]);
    bits = frequency * (log2f(static_cast<float>(total)) - log2f(frequency));
  }
  bits = warp_sum(bits);
  if (lane_id() == 0) {
    out.count = count;
    out.base = high ? low - 1 : 0;
    out.bits = bits + 32.0f * static_cast<float>(total - covered);
  }
}

// Lengths near -log2 p, all shifted by the smallest amount that satisfies Kraft's inequality, found in two rounds of 16
// candidates; then a canonical code, bits reversed because streams are read from the lowest bit.
__device__ inline void build_code(const Symbols& symbols, EncodeTable& encode, CodeTable& table) {
  __shared__ float ideal[256];
  __shared__ uint8_t lengths[256];
  __shared__ uint32_t codes[256];
  __shared__ uint32_t best;
  const uint32_t t = threadIdx.x, i = t % 16, j = t / 16, n = symbols.count;
  const bool used = i < n && j < n;
  float total = 0;
  for (uint32_t r = 0; r < n; ++r) total += static_cast<float>(symbols.frequency[r]);
  const float bits = used ? 2 * log2f(total) - log2f(static_cast<float>(symbols.frequency[i])) -
                                log2f(static_cast<float>(symbols.frequency[j]))
                          : -1.0f;
  ideal[t] = bits;
  auto length_at = [](float value, float shift) {
    return min(max(static_cast<int>(floorf(value + shift)), 1), static_cast<int>(kCodeBits));
  };
  float base = -1.0f, step = 2.5f / 16, shift = 0;
  for (int round = 0; round < 2; ++round) {
    if (t == 0) best = 15;
    __syncthreads();
    const float candidate = base + step * static_cast<float>(j);
    uint32_t kraft = 0;
    for (uint32_t q = 0; q < 16; ++q)
      if (ideal[q * 16 + i] >= 0) kraft += 1u << (kCodeBits - length_at(ideal[q * 16 + i], candidate));
#pragma unroll
    for (int offset = 8; offset; offset /= 2) kraft += __shfl_xor_sync(~0u, kraft, offset);
    if (i == 0 && kraft <= 1u << kCodeBits) atomicMin(&best, j);
    __syncthreads();
    shift = base + step * static_cast<float>(best);
    base = shift - step + step / 16;
    step /= 16;
    __syncthreads();
  }
  const uint32_t length = used ? length_at(bits, shift) : 0;
  lengths[t] = static_cast<uint8_t>(length);
  __syncthreads();
  uint32_t before = 0;
  for (uint32_t u = 0; u < 256; ++u)
    if (lengths[u] && (lengths[u] < length || (lengths[u] == length && u < t)))
      before += 1u << (kCodeBits - lengths[u]);
  const uint32_t code = used ? __brev(before >> (kCodeBits - length)) >> (32 - length) : 0;
  codes[t] = code;
  encode.index[t] = kNoCode;
  for (uint32_t b = t; b < 1u << kCodeBits; b += kTableThreads) table.decode[b] = 0;
  __syncthreads();
  if (t < n) encode.index[symbols.value[t]] = static_cast<uint8_t>(t);
  // A value without a code travels as the first symbol.
  const uint32_t a = i == kNoCode ? 0 : i, b = j == kNoCode ? 0 : j;
  const bool escapes = i == kNoCode || j == kNoCode;
  const bool valid = a < n && b < n;
  encode.code[t] =
      valid ? codes[a + 16 * b] | static_cast<uint32_t>(lengths[a + 16 * b]) << 16 | (escapes ? 1u << 31 : 0) : 0;
  if (used) {
    auto stored = [&](uint32_t symbol) { return symbol ? symbol - symbols.base : 0; };
    const uint32_t entry = length << 12 | stored(symbols.value[j]) << 6 | stored(symbols.value[i]);
    for (uint32_t rest = 0; rest < 1u << (kCodeBits - length); ++rest)
      table.decode[code | rest << length] = static_cast<uint16_t>(entry);
  }
  if (t == 0) {
    table.symbol_base = symbols.base;
    table.placeholder = n ? symbols.value[0] : 0;
    table.symbol_count = n;
    table.reserved = 0;
  }
}

}  // namespace loretoken

using namespace loretoken;

// grid: (16, jobs). Reads at most 256 KiB of each job.
LT_KERNEL(lt_sample, LT_PARAM(Jobs) jobs) {
  __shared__ uint32_t bins[kSampleHistogram];
  const DeviceJob& job = jobs.jobs[blockIdx.y];
  for (uint32_t i = threadIdx.x; i < kSampleHistogram; i += kSampleThreads) bins[i] = 0;
  __syncthreads();
  const uint64_t pieces = job.raw_bytes / 16;
  const uint32_t pieces_per_chunk = kChunkBytes / 16;
  const uint64_t chunks =
      min(pieces / pieces_per_chunk, uint64_t{kSampleParts * (kSampleThreads / 32) * kChunksPerWarp});
  const uint32_t first = (blockIdx.x * (kSampleThreads / 32) + warp_id()) * kChunksPerWarp;
  for (uint32_t chunk = first; chunk < first + kChunksPerWarp && chunk < chunks; ++chunk) {
    const uint64_t span = pieces / chunks;
    // A scattered start inside the span: equal steps would meet only some columns of a matrix.
    const uint64_t piece = span * chunk + mix(chunk + 1) % (span - pieces_per_chunk + 1) + lane_id();
    const uint4 v = load16(reinterpret_cast<const uint4*>(job.raw) + piece);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const uint32_t word = component(v, k);
      atomicAdd(&bins[word >> 23 & 255], 1u);
      atomicAdd(&bins[256 + (word >> 7 & 255)], 1u);
      if (!(word & 0xFFFF)) atomicAdd(&bins[512], 1u);
    }
  }
  __syncthreads();
  auto& part = reinterpret_cast<Plan*>(job.plan)->samples[blockIdx.x];
  for (uint32_t i = threadIdx.x; i < kSampleHistogram; i += kSampleThreads) part[i] = bins[i];
}

// grid: jobs.
LT_KERNEL(lt_tables, LT_PARAM(Jobs) jobs) {
  __shared__ uint32_t histogram[3][256];  // of kExponent16, kExponentHalf, kExponent32
  __shared__ uint32_t upper[256], lower[256], zeros;
  __shared__ Symbols symbols[3];
  Plan& plan = *reinterpret_cast<Plan*>(jobs.jobs[blockIdx.x].plan);
  const uint32_t t = threadIdx.x;
  if (t == 0) plan.allowed = jobs.allowed;
  if (t < kCodecCount) plan.codec_in[t] = plan.codec_out[t] = 0;
  constexpr CodecMask kTabled =
      codec_bit(CodecId::kExponent16) | codec_bit(CodecId::kExponentHalf) | codec_bit(CodecId::kExponent32);
  if (!(jobs.allowed & kTabled)) {
    if (t == 0) plan.kind = 0;
    return;
  }
  uint32_t up = 0, low = 0;
  for (uint32_t part = 0; part < kSampleParts; ++part) {
    up += plan.samples[part][t];
    low += plan.samples[part][256 + t];
  }
  upper[t] = up;
  lower[t] = low;
  if (t == 0) {
    zeros = 0;
    for (uint32_t part = 0; part < kSampleParts; ++part) zeros += plan.samples[part][512];
  }
  __syncthreads();
  // fp16 exponents are the upper five of the eight sampled bits.
  uint32_t half = 0;
  if (t < 32)
    for (uint32_t k = 0; k < 8; ++k) half += upper[8 * t + k] + lower[8 * t + k];
  histogram[0][t] = up + low;
  histogram[1][t] = half;
  histogram[2][t] = up;
  __syncthreads();
  if (warp_id() < 3) choose_symbols(histogram[warp_id()], symbols[warp_id()]);
  __syncthreads();

  uint32_t words = 0;
  for (uint32_t i = 0; i < symbols[2].count; ++i) words += symbols[2].frequency[i];
  const auto sampled = static_cast<float>(words);
  const bool low_zero = static_cast<float>(zeros) > 0.9f * sampled;
  const float other_bits[3] = {16, 22, low_zero ? 8.0f : 24.0f};  // per word, beside the symbols
  uint32_t best = 3;
  float least = 31.0f * sampled;
  for (uint32_t kind = 0; kind < 3; ++kind) {
    const float bits = other_bits[kind] * sampled + symbols[kind].bits;
    if ((jobs.allowed >> (kind + static_cast<uint32_t>(CodecId::kExponent16)) & 1) && bits < least)
      best = kind, least = bits;
  }
  if (t == 0) plan.kind = best < 3 ? best + static_cast<uint32_t>(CodecId::kExponent16) : 0;
  if (best < 3) build_code(symbols[best], plan.encode, plan.table);
}
