"""What the measured programs share: arguments, fixed seeds, the hash of all results, timing, the one JSON line.

A program makes a `Program`, adds every result to it and calls `finish`, which prints
    {"name", "scale", "hash", "loss_bits", "seconds", "peak_bytes", "peak_reserved", "steps", "wall"}
hash       sha256 over the sha256 of the raw bytes of each thing added, in order
loss_bits  the bits of each loss as 8 hex digits (float32)
seconds    median of one step, synchronised before and after; 0 where nothing is timed
peak_*     bytes, as the framework counts them; 0 where it does not count
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import struct
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
SEED = 20240611
OPEN_PARTS = 12


def arguments(description: str, **choices: list[str]) -> argparse.Namespace:
    """Common arguments; each of `choices` becomes --name with the first value as default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--scale", choices=["small", "large"], default="small")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--steps", type=int, default=0, help="timed steps; 0: the program's own number")
    for name, values in choices.items():
        parser.add_argument(f"--{name}", choices=values, default=values[0])
    return parser.parse_args()


def torch_ready(device: str) -> Any:
    """Imports torch with fixed seeds and deterministic algorithms; returns the module."""
    import torch

    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = True
    if device == "cuda":
        torch.cuda.init()
    else:
        torch.set_num_threads(2)
    return torch


class Program:
    def __init__(self, name: str, args: argparse.Namespace) -> None:
        self.name, self.args = name, args
        self.started = time.perf_counter()
        # Large results are hashed side by side (sha256 releases the interpreter's lock); at most OPEN_PARTS wait in memory.
        self.pool = ThreadPoolExecutor(8)
        self.parts: list[Future[bytes]] = []
        self.losses: list[Any] = []
        self.times: list[float] = []

    @property
    def large(self) -> bool:
        return self.args.scale == "large"

    def add_bytes(self, data: Any) -> None:
        """Adds a buffer, which must not change afterwards."""
        self.parts.append(self.pool.submit(lambda: hashlib.sha256(data).digest()))
        if len(self.parts) > OPEN_PARTS:
            self.parts[-OPEN_PARTS].result()

    def add(self, *tensors: Any) -> None:
        """Adds the bytes of torch tensors (dense ones of any dtype); None is skipped."""
        import torch

        for tensor in tensors:
            if tensor is None:
                continue
            host = tensor.detach()
            if host.is_complex():
                host = torch.view_as_real(host.resolve_conj())
            host = host.resolve_neg().contiguous().cpu().reshape(-1)
            if host.numel():
                own = host.clone() if tensor.device.type == "cpu" else host
                self.add_bytes(memoryview(own.view(torch.uint8).numpy()))

    def add_gradients(self, module: Any) -> None:
        for parameter in module.parameters():
            self.add(parameter.grad)

    def add_parameters(self, module: Any) -> None:
        for parameter in module.parameters():
            self.add(parameter)

    def loss(self, value: Any) -> None:
        """Keeps a loss (a scalar tensor stays on its device until `finish`, so that no step waits for it)."""
        self.losses.append(value.detach() if hasattr(value, "detach") else value)

    def timed(self, step: Callable[[int], None], synchronise: Callable[[], None], warm: int, steps: int) -> None:
        """Runs `warm` + `steps` steps and keeps the time of each of the last `steps`."""
        steps = self.args.steps or steps
        for index in range(warm + steps):
            synchronise()
            begin = time.perf_counter()
            step(index)
            synchronise()
            if index >= warm:
                self.times.append(time.perf_counter() - begin)

    def finish(self, peak: int | None = None) -> None:
        reserved = 0
        if peak is None:
            peak, reserved = _torch_peak(self.args.device)
        bits = [struct.pack(">f", float(value)).hex() for value in self.losses]
        digest = hashlib.sha256(b"".join(part.result() for part in self.parts))
        digest.update("".join(bits).encode())
        print(
            json.dumps(
                {
                    "name": self.name,
                    "scale": self.args.scale,
                    "hash": digest.hexdigest(),
                    "loss_bits": bits,
                    "seconds": statistics.median(self.times) if self.times else 0.0,
                    "peak_bytes": peak,
                    "peak_reserved": reserved,
                    "steps": len(self.times),
                    "wall": time.perf_counter() - self.started,
                }
            ),
            flush=True,
        )


def _torch_peak(device: str) -> tuple[int, int]:
    import torch

    if device != "cuda":
        return 0, 0
    return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()


def torch_synchronise(device: str) -> Callable[[], None]:
    import torch

    return torch.cuda.synchronize if device == "cuda" else lambda: None
