"""Training of a residual convolution net with batch normalisation, fp32 (TF32 where cuDNN takes it)."""

import bench_program as bench

args = bench.arguments(__doc__)
torch = bench.torch_ready(args.device)
nn = torch.nn
program = bench.Program("train_conv", args)
side, batch, steps, first = (112, 256, 8, 64) if program.large else (32, 16, 5, 16)


class Block(nn.Module):
    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(inplace=True),
            nn.Conv2d(outer, outer, 3, 1, 1, bias=False), nn.BatchNorm2d(outer),
        )
        self.side = nn.Identity() if stride == 1 and inner == outer else nn.Conv2d(inner, outer, 1, stride, bias=False)

    def forward(self, x):
        return torch.relu(self.body(x) + self.side(x))


with torch.device(args.device):
    stages = [nn.Conv2d(3, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True)]
    channels = first
    for index in range(4):
        outer = first << index
        stages += [Block(channels, outer, 1 if index == 0 else 2), Block(outer, outer, 1)]
        channels = outer
    model = nn.Sequential(*stages, nn.AvgPool2d(side >> 3), nn.Flatten(), nn.Linear(channels, 10))
    data = torch.randn(batch, 3, side, side)
    target = torch.randint(0, 10, (batch,))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)


def step(_: int) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss = nn.functional.cross_entropy(model(data), target)
    loss.backward()
    optimizer.step()
    program.loss(loss)


program.timed(step, bench.torch_synchronise(args.device), warm=2, steps=steps)
program.add_gradients(model)
program.add_parameters(model)
program.finish()
