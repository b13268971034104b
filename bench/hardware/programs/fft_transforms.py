"""FFTs in one, two and three dimensions, real and complex, sizes with large prime factors, gradients."""

import bench_program as bench

args = bench.arguments(__doc__)
torch = bench.torch_ready(args.device)
program = bench.Program("fft_transforms", args)
rows, length, rounds = (8192, 65536, 4) if program.large else (64, 4096, 3)
fft = torch.fft

with torch.device(args.device):
    signal = torch.randn(rows, length)
    odd = torch.randn(16, 4099)
    volume = torch.randn(32, 48, 40, dtype=torch.complex64)


def step(_: int) -> None:
    spectrum = fft.rfft(signal)
    program.add(spectrum[:64], fft.irfft(spectrum, n=length)[:64])
    program.add(fft.fft(odd), fft.fftn(volume), fft.ifftn(volume), fft.fft2(volume), fft.hfft(volume))
    leaf = odd.clone().requires_grad_()
    fft.fft(leaf).abs().sum().backward()
    program.add(leaf.grad)


program.timed(step, bench.torch_synchronise(args.device), warm=0, steps=rounds)
program.finish()
