"""CUDA graphs: capture and replay of a training step, make_graphed_callables, two graphs that share a pool."""

import bench_program as bench

args = bench.arguments(__doc__)
torch = bench.torch_ready(args.device)
nn = torch.nn
program = bench.Program("cuda_graphs", args)
width, batch, steps = (8192, 8192, 10) if program.large else (256, 128, 10)
graphs = args.device == "cuda"


def network(depth: int = 4) -> nn.Module:
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(width, 1)).to(args.device)


def whole_step() -> None:
    """One captured training step, replayed with new data copied into its input."""
    model, data = network(), torch.randn(batch, width, device=args.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, foreach=True)
    loss = torch.zeros((), device=args.device)

    def train() -> None:
        optimizer.zero_grad(set_to_none=False)
        value = model(data).square().mean()
        value.backward()
        optimizer.step()
        loss.copy_(value.detach())

    replay = train
    if graphs:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                train()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            train()
        replay = graph.replay

    def step(index: int) -> None:
        data.copy_(torch.randn(batch, width, device=args.device) * (1 + index / 10))
        replay()
        program.loss(loss.clone())

    program.timed(step, bench.torch_synchronise(args.device), warm=2, steps=steps)
    program.add_parameters(model)


def graphed_callable() -> None:
    model, sample = network(2), torch.randn(batch, width, device=args.device, requires_grad=True)
    call = torch.cuda.make_graphed_callables(model, (sample,)) if graphs else model
    for _ in range(3):
        data = torch.randn(batch, width, device=args.device, requires_grad=True)
        call(data).sum().backward()
        program.add(data.grad)
    program.add_gradients(model)


def shared_pool() -> None:
    data = torch.randn(batch, width, device=args.device)
    if not graphs:
        return
    one, two = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
    with torch.cuda.graph(one):
        first = (data * 2).relu() @ data.mT
    with torch.cuda.graph(two, pool=one.pool()):
        second = first.sum(0).cos() + data.sum()
    for factor in (0.5, 2.0, -1.0):
        data.mul_(factor)
        one.replay()
        two.replay()
        program.add(second)
    del one, two


whole_step()
if not program.large:
    graphed_callable()
    shared_pool()
program.finish()
