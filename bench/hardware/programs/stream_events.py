"""Several streams ordered by events, pinned copies both ways, tensors handed between streams, host work between."""

import bench_program as bench

args = bench.arguments(__doc__)
torch = bench.torch_ready(args.device)
program = bench.Program("stream_events", args)
size, chains, rounds = (8192, 6, 6) if program.large else (512, 4, 6)
on_gpu = args.device == "cuda"
torch.backends.cuda.matmul.allow_tf32 = False
weights = [torch.randn(size, size, device=args.device) / size**0.5 for _ in range(chains)]
host = torch.randn(size, size)
host = host.pin_memory() if on_gpu else host
back = torch.empty_like(host, pin_memory=on_gpu)


def on_streams() -> None:
    """A ring: chain i takes what chain i - 1 made in the same round, once its event says so."""
    main = torch.cuda.current_stream()
    streams = [torch.cuda.Stream(priority=-(index % 2)) for index in range(chains)]
    made, carried = [], host.to(args.device, non_blocking=True)
    start = torch.cuda.Event()
    start.record()
    for index, stream in enumerate(streams):
        with torch.cuda.stream(stream):
            stream.wait_event(start)
            value = carried @ weights[index]
            value = torch.tanh(value) + weights[(index + 1) % chains]
            value.record_stream(main)
            start = torch.cuda.Event()
            start.record(stream)
        carried.record_stream(stream)
        made.append(value)
        carried = value
    for stream in streams:
        torch.cuda.current_stream().wait_stream(stream)
    total = torch.stack([value.sum() for value in made])
    copier = torch.cuda.Stream()
    copier.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(copier):
        back.copy_(carried, non_blocking=True)
        carried.record_stream(copier)
    copier.synchronize()
    program.add(total, back)
    host.copy_(back)


def in_order() -> None:
    carried, made = host, []
    for index in range(chains):
        carried = torch.tanh(carried @ weights[index]) + weights[(index + 1) % chains]
        made.append(carried.sum())
    program.add(torch.stack(made), carried)
    host.copy_(carried)


program.timed(lambda _: on_streams() if on_gpu else in_order(), bench.torch_synchronise(args.device), warm=1, steps=rounds)
program.finish()
