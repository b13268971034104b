"""Operations over lists of tensors (one launch with many pointers by value): _foreach_*, clip_grad_norm_, cat, stack."""

import bench_program as bench

args = bench.arguments(__doc__)
torch = bench.torch_ready(args.device)
program = bench.Program("foreach_ops", args)
count, size, rounds = (256, 8_000_000, 5) if program.large else (300, 3000, 5)

with torch.device(args.device):
    first = [torch.randn(size + 7 * index) for index in range(count)]
    second = [torch.randn(size + 7 * index) for index in range(count)]
    half = [tensor[:1000].to(torch.bfloat16) for tensor in first]


def step(index: int) -> None:
    torch._foreach_mul_(first, 0.99)
    torch._foreach_add_(first, second, alpha=0.01)
    torch._foreach_addcdiv_(second, first, [tensor.abs() + 1 for tensor in first], value=0.1)
    torch._foreach_lerp_(second, first, 0.3)
    norms = torch._foreach_norm(first)
    torch._foreach_copy_([tensor[:1000] for tensor in second], half)
    program.add(torch.stack(norms))
    if index == 0:
        program.add(torch.cat(half), torch.stack([tensor[:1000] for tensor in first]))
        leaves = [tensor[:100].clone().requires_grad_() for tensor in first]
        sum(leaf.square().sum() for leaf in leaves).backward()
        program.add(torch.nn.utils.clip_grad_norm_(leaves, 1.0), *[leaf.grad for leaf in leaves])


program.timed(step, bench.torch_synchronise(args.device), warm=1, steps=rounds)
program.add(*[tensor[:4096] for tensor in first + second])
program.finish()
