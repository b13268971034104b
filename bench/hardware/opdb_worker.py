"""One shard of PyTorch's operator database: runs each entry forward and backward and prints a hash of all bytes.

Started by opdb.py. Protocol on standard output, one JSON object a line:
    {"total": n}                              entries of this shard
    {"begin": position, "key": key}           before an entry
    {"key": key, "state": …, …}               after it; state: ok (hash, samples), error or fault (message)
A fault is what leaves the CUDA context unusable: the worker prints it and ends with status 3.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import re
import sys
import types
import unittest
import warnings
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
FAULTS = re.compile(
    "illegal memory|CUDA error|CUDA_ERROR|cudaError|unspecified launch|misaligned address|device-side assert|launch failure",
    re.IGNORECASE,
)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shard", type=int, default=0)
    parser.add_argument("--of", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, help="first position of the shard to run")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--only", default="", help="regular expression on names")
    parser.add_argument("--fill", action="store_true", help="fill uninitialised memory, so that empty* is comparable")
    return parser.parse_args()


def database() -> list[Any]:
    """op_db; `expecttest`, which it imports for its tests only, is made up where it is not installed."""
    try:
        import expecttest  # noqa: F401
    except ImportError:
        module = types.ModuleType("expecttest")
        module.TestCase = unittest.TestCase
        sys.modules["expecttest"] = module
    sys.argv = sys.argv[:1]
    from torch.testing._internal.common_methods_invocations import op_db

    return list(op_db)


def seed_everything(torch: Any) -> None:
    import numpy

    random.seed(1)
    numpy.random.seed(1)
    torch.manual_seed(1)


class Hasher:
    """sha256 over kind, shape, type and bytes of everything that a call returned."""

    def __init__(self, torch: Any) -> None:
        self.torch, self.digest = torch, hashlib.sha256()

    def add(self, value: Any) -> None:
        for leaf in self.torch.utils._pytree.tree_leaves(value):
            if isinstance(leaf, self.torch.Tensor):
                self._tensor(leaf.detach())
            else:
                self.digest.update(repr(type(leaf)).encode() + (repr(leaf).encode() if _plain(leaf) else b""))

    def _tensor(self, value: Any) -> None:
        torch = self.torch
        self.digest.update(f"{value.layout}{tuple(value.shape) if not value.is_nested else 'nested'}{value.dtype}".encode())
        if value.is_nested:
            for part in value.unbind():
                self._tensor(part)
        elif value.layout == torch.sparse_coo:
            value = value.coalesce()
            self._tensor(value.indices())
            self._tensor(value.values())
        elif value.layout in (torch.sparse_csr, torch.sparse_bsr):
            for part in (value.crow_indices(), value.col_indices(), value.values()):
                self._tensor(part)
        elif value.layout in (torch.sparse_csc, torch.sparse_bsc):
            for part in (value.ccol_indices(), value.row_indices(), value.values()):
                self._tensor(part)
        else:
            value = value.resolve_conj().resolve_neg()
            if value.is_complex():
                value = torch.view_as_real(value)
            if value._is_zerotensor():
                value = torch.zeros(value.shape, dtype=value.dtype)
            # A tensor of one element may keep an odd stride until it is cloned.
            host = value.cpu().reshape(-1).clone(memory_format=torch.contiguous_format)
            if host.numel():
                self.digest.update(memoryview(host.view(torch.uint8).numpy()))


def _plain(leaf: Any) -> bool:
    return leaf is None or isinstance(leaf, (bool, int, float, complex, str, bytes))


def run_entry(torch: Any, op: Any, dtype: Any, device: str, samples: int) -> dict:
    """Runs the first samples of an entry forward and, where it is differentiable, backward."""
    kind = torch.device(device).type
    if dtype not in op.supported_dtypes(kind):
        return {"state": "unsupported", "message": "this type is not supported"}
    backward = op.supports_autograd and dtype in op.supported_backward_dtypes(kind)
    seed_everything(torch)
    hasher, count = Hasher(torch), 0
    for sample in itertools.islice(op.sample_inputs(device, dtype, requires_grad=backward), samples):
        seed_everything(torch)
        leaves = [
            leaf for leaf in torch.utils._pytree.tree_leaves((sample.input, sample.args, sample.kwargs))
            if isinstance(leaf, torch.Tensor) and leaf.requires_grad
        ]
        out = op(sample.input, *sample.args, **sample.kwargs)
        hasher.add(out)
        count += 1
        if backward and leaves:
            _backward(torch, sample.output_process_fn_grad(out), leaves, hasher)
    return {"state": "ok", "hash": hasher.digest.hexdigest(), "samples": count, "backward": bool(backward)}


def _backward(torch: Any, out: Any, leaves: list[Any], hasher: Hasher) -> None:
    outputs = [
        leaf for leaf in torch.utils._pytree.tree_leaves(out)
        if isinstance(leaf, torch.Tensor) and leaf.requires_grad and (leaf.is_floating_point() or leaf.is_complex())
    ]
    if not outputs:
        return
    seeds = []
    for value in outputs:
        if value.layout == torch.strided and not value.is_nested:
            ramp = torch.linspace(0.5, 1.5, max(1, value.numel()), device=value.device)[: value.numel()]
            seeds.append(ramp.reshape(value.shape).to(value.dtype))
        else:
            seeds.append(torch.ones_like(value))
    hasher.add(torch.autograd.grad(outputs, leaves, seeds, allow_unused=True))


def entries(args: argparse.Namespace, torch: Any) -> Iterator[tuple[str, Any, Any]]:
    """(key, entry, type) of the whole database in its order; keys are unique."""
    seen: dict[str, int] = {}
    for op in database():
        name = f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            name = f"{name}#{seen[name]}"
        if re.search(args.only, name):
            for dtype in args.dtypes.split(","):
                yield f"{name}|{dtype}", op, getattr(torch, dtype)


def say(**message: Any) -> None:
    sys.__stdout__.write(json.dumps(message) + "\n")
    sys.__stdout__.flush()


def message_of(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    line = f"{type(error).__name__}: {text[0] if text else ''}"
    if "out of memory" in line:
        return f"{type(error).__name__}: out of memory"
    return re.sub(r"0x[0-9a-fA-F]+", "0x…", line)[:240]


def main() -> int:
    args = parse()
    warnings.filterwarnings("ignore")
    import torch

    sys.stdout = sys.stderr
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = args.fill
    torch.backends.cudnn.benchmark = False
    torch.set_num_threads(1)
    shard = [item for index, item in enumerate(entries(args, torch)) if index % args.of == args.shard]
    say(total=len(shard))
    for position, (key, op, dtype) in enumerate(shard):
        if position < args.start:
            continue
        say(begin=position, key=key)
        try:
            found = run_entry(torch, op, dtype, args.device, args.samples)
        except Exception as error:  # noqa: BLE001 (whatever an entry raises is its result)
            found = {"state": "fault" if FAULTS.search(str(error)) else "error", "message": message_of(error)}
        if args.device == "cuda" and found["state"] != "fault":
            try:
                torch.cuda.synchronize()
            except Exception as error:  # noqa: BLE001
                found = {"state": "fault", "message": message_of(error)}
        say(key=key, **found)
        if found["state"] == "fault":
            sys.stderr.flush()
            os._exit(3)
    say(done=True)
    sys.__stdout__.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
