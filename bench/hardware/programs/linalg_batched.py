"""Batched LAPACK: inv, cholesky, lu, solve, det, qr, triangular solve; svd and eigh small; fp32 and fp64; gradients."""

import bench_program as bench

args = bench.arguments(__doc__)
torch = bench.torch_ready(args.device)
program = bench.Program("linalg_batched", args)
batch, size, rounds = (2048, 256, 3) if program.large else (64, 128, 2)
linalg = torch.linalg


def matrices(count: int, order: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(count, order, order, dtype=dtype, device=args.device) + order**0.5 * 3 * torch.eye(
        order, dtype=dtype, device=args.device
    )


def one(dtype: torch.dtype) -> None:
    a = matrices(batch, size, dtype).requires_grad_()
    right = torch.randn(batch, size, 8, dtype=dtype, device=args.device)
    inverse = linalg.inv(a)
    solved = linalg.solve(a, right)
    (inverse.square().mean() + solved.square().mean()).backward()
    program.add(inverse, solved, a.grad)
    with torch.no_grad():
        symmetric = a @ a.mT + torch.eye(size, dtype=dtype, device=args.device)
        lower = linalg.cholesky(symmetric)
        program.add(lower, torch.cholesky_solve(right, lower), torch.cholesky_inverse(lower))
        program.add(linalg.solve_triangular(lower, right, upper=False))
        factors, pivots = linalg.lu_factor(a)
        program.add(factors, pivots, linalg.lu_solve(factors, pivots, right), *linalg.lu(a))
        program.add(linalg.det(a[:, :16, :16]), linalg.slogdet(a)[1], *linalg.qr(a[:8]))
        few = symmetric[:4, :32, :32].contiguous()
        program.add(linalg.svdvals(few), *linalg.eigh(few), *linalg.svd(few), linalg.matrix_exp(few / size**2))


def step(_: int) -> None:
    one(torch.float32)
    one(torch.float64)


program.timed(step, bench.torch_synchronise(args.device), warm=0, steps=rounds)
if args.device == "cuda" and torch.cuda.has_magma and not program.large:
    torch.backends.cuda.preferred_linalg_library("magma")
    step(0)
program.finish()
