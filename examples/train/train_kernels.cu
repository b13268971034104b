// Kernels of the training example: a multi-layer perceptron in f32, and the live buffers around it. The same source
// runs on a GPU and on the simulator. No atomics: every sum has one fixed order, so two runs give the same bits.
//
// Shapes: activations are [batch][width], weights [out][in], all row-major; width is a multiple of 8.
#include <loretoken/kernel.h>

namespace {

constexpr uint32_t kLane = 8;  // elements one thread makes or sums side by side

__device__ __forceinline__ uint64_t mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// Close to a normal distribution: the sum of four 16-bit uniforms, mean 0, deviation 1.
__device__ __forceinline__ float gaussian(uint64_t random) {
  const float sum = static_cast<float>(random & 0xffff) + static_cast<float>(random >> 16 & 0xffff) +
                    static_cast<float>(random >> 32 & 0xffff) + static_cast<float>(random >> 48);
  return (sum - 131070.0f) * (1.0f / 37837.0f);
}

__device__ __forceinline__ uint16_t to_bf16(float value) {
  union {
    float f;
    uint32_t u;
  } bits;
  bits.f = value;
  return static_cast<uint16_t>((bits.u + 0x7fffu + (bits.u >> 16 & 1)) >> 16);
}

__device__ __forceinline__ float from_bf16(uint16_t value) {
  union {
    float f;
    uint32_t u;
  } bits;
  bits.u = static_cast<uint32_t>(value) << 16;
  return bits.f;
}

__device__ __forceinline__ uint64_t thread_index() {
  return static_cast<uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__device__ __forceinline__ uint64_t thread_count() {
  return static_cast<uint64_t>(gridDim.x) * blockDim.x;
}

}  // namespace

// --- the network ---

LT_KERNEL_PLAIN(train_init_weights, float* weights, uint64_t count, float deviation, uint64_t seed) {
  for (uint64_t i = thread_index(); i < count; i += thread_count()) weights[i] = deviation * gaussian(mixed(seed + i));
}

// y[b][o] = act(sum_i x[b][i] w[o][i] + bias[o]); one thread per element.
LT_KERNEL_PLAIN(train_forward, float* y, const float* x, const float* w, const float* bias, uint32_t batch,
                uint32_t width, uint32_t relu) {
  const uint64_t at = thread_index();
  if (at >= static_cast<uint64_t>(batch) * width) return;
  const float* row = x + at / width * width;
  const float* column = w + at % width * width;
  float sum[kLane] = {};
  for (uint32_t i = 0; i < width; i += kLane)
    for (uint32_t k = 0; k < kLane; ++k) sum[k] += row[i + k] * column[i + k];
  float total = bias[at % width];
  for (uint32_t k = 0; k < kLane; ++k) total += sum[k];
  y[at] = relu && !(total > 0.0f) ? 0.0f : total;
}

// dy = 2 (y - target) / elements; row_loss[b] = sum over the row of the squared difference. One thread per row.
LT_KERNEL_PLAIN(train_loss, float* dy, float* row_loss, const float* y, const float* target, uint32_t batch,
                uint32_t width) {
  const uint64_t b = thread_index();
  if (b >= batch) return;
  float sum = 0.0f;
  const float scale = 2.0f / (static_cast<float>(batch) * static_cast<float>(width));
  for (uint64_t i = b * width; i < (b + 1) * width; ++i) {
    const float difference = y[i] - target[i];
    sum += difference * difference;
    dy[i] = scale * difference;
  }
  row_loss[b] = sum;
}

// loss[0] = mean of the rows' losses. One thread in all.
LT_KERNEL_PLAIN(train_mean_loss, float* loss, const float* row_loss, uint32_t batch, uint32_t width) {
  if (thread_index() != 0) return;
  float sum = 0.0f;
  for (uint32_t b = 0; b < batch; ++b) sum += row_loss[b];
  loss[0] = sum / (static_cast<float>(batch) * static_cast<float>(width));
}

// dx[b][i..i+7] = sum_o dy[b][o] w[o][i..i+7], zero where the layer's input was cut off by ReLU.
LT_KERNEL_PLAIN(train_backward_input, float* dx, const float* dy, const float* w, const float* x, uint32_t batch,
                uint32_t width) {
  const uint64_t at = thread_index() * kLane;
  if (at >= static_cast<uint64_t>(batch) * width) return;
  const float* gradient = dy + at / width * width;
  const float* column = w + at % width;
  float sum[kLane] = {};
  for (uint32_t o = 0; o < width; ++o)
    for (uint32_t k = 0; k < kLane; ++k) sum[k] += gradient[o] * column[static_cast<uint64_t>(o) * width + k];
  for (uint32_t k = 0; k < kLane; ++k) dx[at + k] = x[at + k] > 0.0f ? sum[k] : 0.0f;
}

// dw[o][i..i+7] = sum_b dy[b][o] x[b][i..i+7]; the thread with i = 0 also makes dbias[o].
LT_KERNEL_PLAIN(train_backward_weights, float* dw, float* dbias, const float* dy, const float* x, uint32_t batch,
                uint32_t width) {
  const uint64_t at = thread_index() * kLane;
  if (at >= static_cast<uint64_t>(width) * width) return;
  const uint64_t o = at / width, i = at % width;
  float sum[kLane] = {}, bias = 0.0f;
  for (uint32_t b = 0; b < batch; ++b) {
    const float gradient = dy[static_cast<uint64_t>(b) * width + o];
    bias += gradient;
    for (uint32_t k = 0; k < kLane; ++k) sum[k] += gradient * x[static_cast<uint64_t>(b) * width + i + k];
  }
  for (uint32_t k = 0; k < kLane; ++k) dw[at + k] = sum[k];
  if (i == 0) dbias[o] = bias;
}

// AdamW; decays towards `anchor` (bf16, may be null: towards zero). Corrections are 1 - beta^step.
LT_KERNEL_PLAIN(train_adamw, float* p, float* m, float* v, const float* g, const uint16_t* anchor, uint64_t count,
                float rate, float decay, float correction1, float correction2) {
  for (uint64_t i = thread_index(); i < count; i += thread_count()) {
    const float gradient = g[i];
    const float first = 0.9f * m[i] + 0.1f * gradient;
    const float second = 0.999f * v[i] + 0.001f * gradient * gradient;
    const float towards = anchor ? from_bf16(anchor[i]) : 0.0f;
    m[i] = first;
    v[i] = second;
    p[i] -= rate * (first / correction1 / (sqrtf(second / correction2) + 1e-8f) + decay * (p[i] - towards));
  }
}

// --- the live buffers ---

// Replay rows: `row` floats each, the first 10 to 40 % data, zero padding behind.
LT_KERNEL_PLAIN(train_make_replay, float* out, uint64_t count, uint32_t row, uint64_t seed) {
  for (uint64_t i = thread_index(); i < count; i += thread_count()) {
    const uint64_t r = i / row, length = row / 10 + mixed(seed ^ r) % (row * 3 / 10 + 1);
    out[i] = i % row < length ? gaussian(mixed(seed + i)) : 0.0f;
  }
}

// Activations behind a ReLU that lets every sixth value through.
LT_KERNEL_PLAIN(train_make_activations, float* out, uint64_t count, uint64_t seed) {
  for (uint64_t i = thread_index(); i < count; i += thread_count()) {
    const float value = gaussian(mixed(seed + i)) - 1.0f;
    out[i] = value > 0.0f ? value : 0.0f;
  }
}

// Frozen weights, bf16.
LT_KERNEL_PLAIN(train_make_frozen, uint16_t* out, uint64_t count, uint64_t seed) {
  for (uint64_t i = thread_index(); i < count; i += thread_count()) out[i] = to_bf16(0.02f * gaussian(mixed(seed + i)));
}

LT_KERNEL_PLAIN(train_copy, float* out, const float* in, uint64_t count) {
  for (uint64_t i = thread_index(); i < count; i += thread_count()) out[i] = in[i];
}

// Momentum of a sparse table: table[i] = 0.9 table[i] + in[i].
LT_KERNEL_PLAIN(train_accumulate, float* table, const float* in, uint64_t count) {
  for (uint64_t i = thread_index(); i < count; i += thread_count()) table[i] = 0.9f * table[i] + in[i];
}

// --- content hashes ---

// Block b folds words [b·n/blocks, (b+1)·n/blocks); partial has gridDim·blockDim entries. bytes is a multiple of 8.
LT_KERNEL_PLAIN(train_hash_parts, uint64_t* partial, const uint64_t* data, uint64_t words) {
  const uint64_t begin = words * blockIdx.x / gridDim.x, end = words * (blockIdx.x + 1) / gridDim.x;
  uint64_t hash = mixed(threadIdx.x);
  for (uint64_t i = begin + threadIdx.x; i < end; i += blockDim.x)
    hash = (hash ^ data[i]) * 0x100000001b3ull + (hash >> 47);
  partial[thread_index()] = hash;
}

// hash[0] = fold of the parts in order. One thread in all.
LT_KERNEL_PLAIN(train_hash_fold, uint64_t* hash, const uint64_t* partial, uint32_t count) {
  if (thread_index() != 0) return;
  uint64_t total = count;
  for (uint32_t i = 0; i < count; ++i) total = mixed(total ^ partial[i]);
  hash[0] = total;
}

// Counts a revisit, and a mismatch when the content is not what it was when it was last written.
LT_KERNEL_PLAIN(train_check, uint64_t* counts, const uint64_t* now, const uint64_t* written) {
  if (thread_index() != 0) return;
  counts[0] += 1;
  if (now[0] != written[0]) counts[1] += 1;
}
