"""Forward, backward and SGD of Mixtral-type layers: top-2 routing, SwiGLU experts by grouped GEMM, bf16."""

import bench_program as bench

args = bench.arguments(__doc__)
torch = bench.torch_ready(args.device)
nn, F = torch.nn, torch.nn.functional
grouped_mm = getattr(F, "grouped_mm", None) or torch._grouped_mm
program = bench.Program("moe_grouped", args)
width, inner, experts, depth, tokens, steps = (
    (2048, 4096, 8, 6, 16384, 8) if program.large else (128, 256, 8, 2, 512, 5)
)


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(width, experts, bias=False)
        self.gate = nn.Parameter(torch.randn(experts, width, inner) * 0.02)
        self.up = nn.Parameter(torch.randn(experts, width, inner) * 0.02)
        self.down = nn.Parameter(torch.randn(experts, inner, width) * 0.02)

    def forward(self, x):
        share, chosen = torch.topk(self.router(x).float().softmax(-1), 2)
        share = (share / share.sum(-1, keepdim=True)).to(x.dtype)
        order = torch.argsort(chosen.flatten(), stable=True)
        counts = F.one_hot(chosen.flatten(), experts).sum(0)
        ends = counts.cumsum(0).to(torch.int32)
        rows = x[order // 2]
        hidden = F.silu(grouped_mm(rows, self.gate, offs=ends)) * grouped_mm(rows, self.up, offs=ends)
        out = grouped_mm(hidden, self.down, offs=ends)
        back = torch.argsort(order, stable=True)
        return x + (out[back].view(-1, 2, width) * share.unsqueeze(-1)).sum(1)


with torch.device(args.device):
    model = nn.Sequential(*(Experts() for _ in range(depth))).to(torch.bfloat16)
    data = torch.randn(tokens, width).to(torch.bfloat16)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)


def step(_: int) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss = model(data).float().pow(2).mean()
    loss.backward()
    optimizer.step()
    program.loss(loss)


program.timed(step, bench.torch_synchronise(args.device), warm=2, steps=steps)
program.add_gradients(model)
program.add_parameters(model)
program.finish()
