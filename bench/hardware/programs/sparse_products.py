"""Sparse products: CSR and COO times dense, CSR times CSR, coalescing, conversion, gradients through COO."""

import bench_program as bench

args = bench.arguments(__doc__)
torch = bench.torch_ready(args.device)
program = bench.Program("sparse_products", args)
size, filled, columns, rounds = (65536, 8_000_000, 4096, 5) if program.large else (2048, 40_000, 128, 3)

with torch.device(args.device):
    # Distinct sorted positions, so that no sum depends on an order.
    flat = torch.unique(torch.randint(0, size * size, (filled,)))
    index = torch.stack((flat // size, flat % size))
    values = torch.randn(flat.numel())
    dense = torch.randn(size, columns)


def step(_: int) -> None:
    coo = torch.sparse_coo_tensor(index, values, (size, size)).coalesce()
    csr = coo.to_sparse_csr()
    program.add(csr.crow_indices(), csr.col_indices(), csr @ dense, torch.sparse.mm(coo, dense))
    leaf = values.clone().requires_grad_()
    matrix = torch.sparse_coo_tensor(index, leaf, (size, size))
    torch.sparse.mm(matrix, dense).square().mean().backward()
    program.add(leaf.grad)
    if not program.large:
        square = csr @ csr
        program.add(square.crow_indices(), square.col_indices(), square.values())
        program.add(coo.to_dense(), torch.sparse.sum(coo, 0).to_dense(), torch.sparse.softmax(coo, 1).coalesce().values())


program.timed(step, bench.torch_synchronise(args.device), warm=0, steps=rounds)
program.finish()
