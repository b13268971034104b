"""Training of a deep ReLU network, fp32 (TF32 products), SGD with momentum."""

import bench_program as bench

args = bench.arguments(__doc__)
torch = bench.torch_ready(args.device)
program = bench.Program("train_mlp", args)
width, depth, batch, steps = (8192, 12, 16384, 8) if program.large else (512, 6, 1024, 8)

layers = []
with torch.device(args.device):
    for _ in range(depth):
        layers += [torch.nn.Linear(width, width), torch.nn.ReLU(inplace=True)]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(width, 16))
    data = torch.randn(batch, width)
    target = torch.randint(0, 16, (batch,))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)


def step(_: int) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss = torch.nn.functional.cross_entropy(model(data), target)
    loss.backward()
    optimizer.step()
    program.loss(loss)


program.timed(step, bench.torch_synchronise(args.device), warm=2, steps=steps)
program.add_gradients(model)
program.add_parameters(model)
program.finish()
