"""One run of one measured program in a process of its own: environment, time limit, log, result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent

# name → (script, further arguments)
PROGRAMS: dict[str, tuple[str, list[str]]] = {
    "train_mlp": ("train_mlp.py", []),
    "train_conv": ("train_conv.py", []),
    "train_llama_foreach": ("train_llama.py", ["--optimizer", "foreach"]),
    "train_llama_fused": ("train_llama.py", ["--optimizer", "fused"]),
    "moe_grouped": ("moe_grouped.py", []),
    "generate_llama": ("generate_llama.py", []),
    "linalg_batched": ("linalg_batched.py", []),
    "sparse_products": ("sparse_products.py", []),
    "fft_transforms": ("fft_transforms.py", []),
    "sort_unique": ("sort_unique.py", []),
    "foreach_ops": ("foreach_ops.py", []),
    "cuda_graphs": ("cuda_graphs.py", []),
    "stream_events": ("stream_events.py", []),
    "cupy_kernels": ("cupy_kernels.py", []),
    "triton_kernels": ("triton_kernels.py", []),
    "jax_mlp": ("jax_mlp.py", []),
}
TRAINING = ["train_mlp", "train_conv", "train_llama_foreach", "train_llama_fused", "moe_grouped"]
ALLOCATORS: dict[str, dict[str, str]] = {
    "caching": {},
    "async": {"PYTORCH_ALLOC_CONF": "backend:cudaMallocAsync", "PYTORCH_CUDA_ALLOC_CONF": "backend:cudaMallocAsync"},
    "nocache": {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"},
}


@dataclass
class Mode:
    """How a program runs: which allocator PyTorch uses, and the shim's settings (None: without the shim)."""

    name: str
    allocator: str = "caching"
    settings: dict[str, str] | None = None


@dataclass
class Outcome:
    program: str
    section: str
    mode: str
    code: int | None = None  # exit status; None: not run
    timed_out: bool = False
    wall: float = 0.0
    result: dict | None = None  # the program's JSON line
    telemetry: dict | None = None  # what the shim counted
    cause: str = ""  # last lines of a failed run
    log: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.code == 0 and self.result is not None

    def as_dict(self) -> dict:
        return asdict(self)


def clean_environment() -> dict[str, str]:
    """This process's environment without anything of the shim or of allocators."""
    drop = {"LD_PRELOAD", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_NO_CUDA_MEMORY_CACHING"}
    return {k: v for k, v in os.environ.items() if k not in drop and not k.startswith("LORETOKEN_")}


def mode_environment(mode: Mode, build: Path | None) -> dict[str, str]:
    """What `mode` adds to the environment. A mode with the shim needs the folder of its build."""
    added = dict(ALLOCATORS[mode.allocator])
    if mode.settings is not None:
        if build is None:
            raise SystemExit(f"mode {mode.name} needs --build")
        added["LD_PRELOAD"] = str(build / "lib" / "libloretoken.so")
        added["LORETOKEN_KERNELS"] = str(build / "lib" / "loretoken_kernels.fatbin")
        added.update(mode.settings)
    return added


def run_process(command: list[str], added: dict[str, str], log: Path, timeout: float) -> tuple[int, bool, float, str]:
    """Runs a command; returns exit status, whether it was stopped at its limit, wall seconds, standard output."""
    log.parent.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, env=clean_environment() | added, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
        try:
            output, _ = process.communicate(timeout=timeout)
            late = False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            late = True
    return process.returncode, late, time.monotonic() - begin, output.decode(errors="replace")


def run_program(
    program: str, section: str, mode: Mode, *, scale: str, device: str, build: Path | None, out: Path, timeout: float,
    label: str = "",
) -> Outcome:
    script, extra = PROGRAMS[program]
    command = [sys.executable, str(HERE / "programs" / script), "--scale", scale, "--device", device, *extra]
    log = out / "logs" / f"{section}-{program}-{mode.name}{label}.log"
    added = mode_environment(mode, build)
    counters = log.with_suffix(".telemetry").resolve()
    if mode.settings is not None:
        added["LORETOKEN_TELEMETRY"] = str(counters)
    code, late, wall, output = run_process(command, added, log, timeout)
    outcome = Outcome(program, section, mode.name, code, late, wall, log=log.name, environment=added)
    if mode.settings is not None:
        outcome.telemetry = read_telemetry(counters, build)
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            outcome.result = json.loads(line)
            break
    if not outcome.ok:
        outcome.cause = "stopped at its time limit" if late else last_lines(log)
    return outcome


def read_telemetry(file: Path, build: Path | None) -> dict | None:
    """What telemetry_dump makes of the file, which is removed; None where either is missing."""
    dump = (build or Path()) / "bin" / "telemetry_dump"
    if not file.exists() or not dump.exists():
        return None
    done = subprocess.run([str(dump), str(file)], capture_output=True, text=True, check=False)
    file.unlink()
    return json.loads(done.stdout) if done.returncode == 0 else None


def last_lines(log: Path, count: int = 3) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if "Error" in line or "error" in line or line.startswith("loretoken:")]
    return " | ".join((told or lines)[-count:])[:600]
