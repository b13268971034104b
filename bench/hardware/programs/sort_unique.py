"""Sorting and what builds on it: sort, argsort, topk, unique, searchsorted, bincount, cumulative sums, index_put."""

import bench_program as bench

args = bench.arguments(__doc__)
torch = bench.torch_ready(args.device)
program = bench.Program("sort_unique", args)
count, rounds = (400_000_000, 3) if program.large else (1_000_000, 3)

with torch.device(args.device):
    numbers = torch.randn(count)
    keys = torch.randint(0, 10_000, (count,))


def step(_: int) -> None:
    ordered, places = torch.sort(numbers, stable=True)
    program.add(ordered[:: max(1, count // 1_000_000)], places[:: max(1, count // 1_000_000)])
    program.add(*torch.unique(keys, return_inverse=False, return_counts=True))
    program.add(*torch.topk(numbers, 100), torch.searchsorted(ordered, numbers[:1000]))
    program.add(torch.bincount(keys, minlength=10_000), torch.nonzero(keys == 7))
    few, small = numbers[:65536].view(64, 1024), keys[:65536]
    program.add(*few.sort(-1), *few.sort(0), *few.kthvalue(17), few.median(-1).values, small.argsort(stable=True))
    program.add(*torch.unique(small, return_inverse=True), *torch.unique_consecutive(small, return_counts=True))
    table = torch.zeros(10_000, device=args.device).index_put_((small,), few.flatten(), accumulate=True)
    program.add(table, small.cumsum(0), few.cummax(-1).values, torch.masked_select(few, few > 1))


program.timed(step, bench.torch_synchronise(args.device), warm=0, steps=rounds)
program.finish()
