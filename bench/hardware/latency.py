"""Runs launch_latency without and with the shim and sets the figures side by side."""

from __future__ import annotations

import json
from pathlib import Path

from one_run import Mode, last_lines, mode_environment, run_process


def measure(binary: Path, shim: Mode, build: Path | None, out: Path, timeout: float) -> dict:
    """In turns (plain, shim, plain, shim); keeps of each figure the smaller of the two runs, which noise only raises."""
    figures: dict[str, dict[str, float]] = {}
    for turn in range(2):
        for mode in (Mode("plain"), shim):
            log = out / "logs" / f"latency-{mode.name}-{turn}.log"
            code, late, _, output = run_process([str(binary)], mode_environment(mode, build), log, timeout / 4)
            lines = [line for line in output.splitlines() if line.startswith("{")]
            if code != 0 or not lines:
                figures.setdefault("failed", {})[f"{mode.name}-{turn}"] = code
                print(f"latency {mode.name}: exit {code}{' (time limit)' if late else ''}: {last_lines(log)}")
                continue
            for name, value in json.loads(lines[-1]).items():
                row = figures.setdefault(name, {})
                row[mode.name] = min(value, row.get(mode.name, value))
    return figures


def show(figures: dict) -> None:
    print(f"{'nanoseconds':34} {'plain':>10} {'shim':>10} {'added':>10}")
    for name, row in figures.items():
        if "plain" in row and "shim" in row:
            print(f"{name:34} {row['plain']:10.0f} {row['shim']:10.0f} {row['shim'] - row['plain']:10.0f}")
