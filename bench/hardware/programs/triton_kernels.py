"""Triton: vector addition, matrix product, a kernel that reads a table of pointers, one that reads a stored table."""

import bench_program as bench

args = bench.arguments(__doc__)
torch = bench.torch_ready(args.device)
import triton
import triton.language as tl

program = bench.Program("triton_kernels", args)
count, order, rounds = (500_000_000, 8192, 6) if program.large else (1_000_000, 512, 4)
ROW, ROWS = 4096, 16


@triton.jit
def add_kernel(x, y, out, n, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = at < n
    tl.store(out + at, tl.load(x + at, mask=mask) + tl.load(y + at, mask=mask), mask=mask)


@triton.jit
def product_kernel(a, b, c, n, BLOCK: tl.constexpr):
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK, BLOCK), dtype=tl.float32)
    for start in range(0, n, BLOCK):
        inner = start + tl.arange(0, BLOCK)
        total += tl.dot(tl.load(a + row[:, None] * n + inner[None, :]), tl.load(b + inner[:, None] * n + column[None, :]))
    tl.store(c + row[:, None] * n + column[None, :], total)


@triton.jit
def table_kernel(table, out, rows, LENGTH: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for row in range(rows):
        base = tl.load(table + row).to(tl.pointer_type(tl.float32))
        total += tl.load(base + at, mask=at < LENGTH, other=0.0)
    tl.store(out + at, total, mask=at < LENGTH)


@triton.jit
def store_table_kernel(base, table, rows, LENGTH: tl.constexpr):
    row = tl.program_id(0)
    if row < rows:
        tl.store(table + row, (base + row * LENGTH).to(tl.int64))


x, y = torch.randn(count, device=args.device), torch.randn(count, device=args.device)
a = torch.randn(order, order, device=args.device, dtype=torch.bfloat16)
b = torch.randn(order, order, device=args.device, dtype=torch.bfloat16)
lines = [torch.randn(ROW, device=args.device) for _ in range(ROWS)]


def step(_: int) -> None:
    out, c = torch.empty_like(x), torch.empty(order, order, device=args.device)
    add_kernel[(triton.cdiv(count, 1024),)](x, y, out, count, BLOCK=1024)
    product_kernel[(order // 64, order // 64)](a, b, c, order, BLOCK=64)
    table = torch.tensor([line.data_ptr() for line in lines], dtype=torch.int64, device=args.device)
    total, again = torch.empty(ROW, device=args.device), torch.empty(ROW, device=args.device)
    table_kernel[(ROW // 512,)](table, total, ROWS, LENGTH=ROW, BLOCK=512)
    stored = torch.empty(ROWS, dtype=torch.int64, device=args.device)
    store_table_kernel[(ROWS,)](x, stored, ROWS, LENGTH=ROW)
    table_kernel[(ROW // 512,)](stored, again, ROWS, LENGTH=ROW, BLOCK=512)
    program.add(out[:1_000_000], c, total, again)


program.timed(step, bench.torch_synchronise(args.device), warm=1, steps=rounds)
program.finish()
