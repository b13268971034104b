"""CuPy: element-wise and reduction kernels, RawKernel (with a table of pointers), cuBLAS, sort, FFT, streams."""

import bench_program as bench

args = bench.arguments(__doc__)
import cupy as cp

program = bench.Program("cupy_kernels", args)
count, order, rounds = (100_000_000, 8192, 5) if program.large else (1_000_000, 512, 4)
random = cp.random.RandomState(bench.SEED)

SAXPY = cp.RawKernel(
    r"""
extern "C" __global__ void saxpy(float a, const float* x, const float* y, float* out, long long n) {
  long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = a * x[i] + y[i];
}""",
    "saxpy",
)
GATHER = cp.RawKernel(
    r"""
extern "C" __global__ void gather(const float* const* rows, float* out, int count, int length) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= length) return;
  float sum = 0;
  for (int row = 0; row < count; ++row) sum += rows[row][i];
  out[i] = sum;
}""",
    "gather",
)
MAKE_TABLE = cp.RawKernel(
    r"""
extern "C" __global__ void make_table(const float* base, long long stride, const float** rows, int count) {
  int i = threadIdx.x;
  if (i < count) rows[i] = base + i * stride;
}""",
    "make_table",
)
square_sum = cp.ReductionKernel("T x", "T y", "x * x", "a + b", "y = a", "0", "square_sum")
wave = cp.ElementwiseKernel("T x, T y", "T z", "z = sin(x) * y + 1", "wave")


def add(*arrays) -> None:
    for array in arrays:
        program.add_bytes(memoryview(cp.asnumpy(cp.ascontiguousarray(array)).reshape(-1).view("uint8")))


x = random.standard_normal(count, dtype=cp.float32)
y = random.standard_normal(count, dtype=cp.float32)
matrix = random.standard_normal((order, order), dtype=cp.float32)


def step(_: int) -> None:
    out = cp.empty_like(x)
    blocks = (count + 255) // 256
    SAXPY((blocks,), (256,), (cp.float32(1.5), x, y, out, cp.int64(count)))
    add(out[:4096], square_sum(out), wave(x, y)[:4096])
    rows = [cp.full(4096, index, dtype=cp.float32) + x[:4096] for index in range(16)]
    table = cp.asarray([row.data.ptr for row in rows], dtype=cp.uint64)
    total = cp.empty(4096, dtype=cp.float32)
    GATHER((16,), (256,), (table, total, cp.int32(16), cp.int32(4096)))
    stored = cp.empty(16, dtype=cp.uint64)
    again = cp.empty(4096, dtype=cp.float32)
    MAKE_TABLE((1,), (32,), (x, cp.int64(4096), stored, cp.int32(16)))
    GATHER((16,), (256,), (stored, again, cp.int32(16), cp.int32(4096)))
    add(total, again, matrix @ matrix, cp.sort(x)[:: count // 4096], cp.argsort(y)[:4096])
    add(cp.fft.fft(x[:65536]), cp.cumsum(x[:65536]), cp.linalg.norm(matrix), cp.unique((x[:65536] * 10).astype(cp.int32)))
    side = cp.cuda.Stream(non_blocking=True)
    side.wait_event(cp.cuda.get_current_stream().record())
    with side:
        product = matrix.T @ matrix[:, :64]
    side.synchronize()
    add(product)


program.timed(step, cp.cuda.Device().synchronize, warm=1, steps=rounds)
program.finish(peak=cp.get_default_memory_pool().total_bytes())
