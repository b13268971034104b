"""The section opdb of run.py: the operator database plain twice, then under the strict check, and their comparison."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from compare import UNINITIALISED, compare
from one_run import HERE, Mode, mode_environment, read_telemetry, run_process


def _collect(bench: Any, name: str, mode: Mode, limit: float, only: str = "") -> dict | None:
    """One pass over the database, or over names that match `only`; its results, None where there was no time or none."""
    if limit < 20:
        print(f"opdb {name}: not run, the time was used up")
        return None
    target = (bench.out / "logs" if only else bench.out) / f"{name}.json"
    command = [
        sys.executable, str(HERE / "opdb.py"), "--out", str(target), "--device", bench.args.device,
        "--workers", str(bench.args.opdb_workers), "--time-limit", str(int(limit)), *shlex.split(bench.args.opdb_args),
        *(["--only", only] if only else []),
    ]
    log = bench.out / "logs" / f"opdb-{name}.log"
    added, counters = mode_environment(mode, bench.build), log.with_suffix(".telemetry").resolve()
    if mode.settings is not None:
        added["LORETOKEN_TELEMETRY"] = str(counters)
    code, late, wall, output = run_process(command, added, log, limit + 30)
    end = "time limit" if late else f"exit {code}"
    print(f"opdb {name}: {end} after {wall:.0f} s: {output.strip()[-300:]}", flush=True)
    bench.figures.setdefault("telemetry", {})[name] = read_telemetry(counters, bench.build)
    return json.loads(target.read_text()) if target.exists() else None


def measure(bench: Any, figures: dict) -> None:
    """Fills `figures` with one comparison per pair; plain passes come from --opdb-reference where they are there."""
    pointers = [name for name in bench.args.opdb_pointers.split(",") if name]
    plain: list[dict | None] = []
    passes = len(pointers)
    for letter in "ab":
        kept = Path(bench.args.opdb_reference or "") / f"plain-{letter}.json"
        if bench.args.opdb_reference and kept.exists():
            shutil.copy(kept, bench.out / kept.name)
            plain.append(json.loads(kept.read_text()))
        else:
            plain.append(_collect(bench, f"plain-{letter}", Mode("plain"), bench.left() * 0.5 / (passes + 1)))
    if plain[0] is None:
        return
    if plain[1] is not None:
        figures["plain twice"] = compare(plain[0], plain[1])
    for index, name in enumerate(pointers):
        mode = bench.shim(f"strict-{name}", check="strict", pointers=name, limit="6GiB")
        found = _collect(bench, f"strict-{name}", mode, bench.left() / (passes - index) - 10)
        if found is not None:
            figures[f"strict, pointers {name}"] = compare(plain[0], found, plain[1])
    _look_again(bench, figures)


def _look_again(bench: Any, figures: dict) -> None:
    """What differs under the shim though two plain passes agree: do further plain passes differ among themselves?"""
    keys = sorted({line.split(": ")[0] for figure in figures.values() for line in figure["differ_list"]})
    keys = [key for key in keys if key.split("|")[0] not in UNINITIALISED and " " not in key]
    if not keys:
        return
    only = "^(" + "|".join(sorted({re.escape(key.split("|")[0]) for key in keys})) + ")$"
    hashes: dict[str, set[str]] = {key: set() for key in keys}
    for turn in range(bench.args.opdb_again):
        found = _collect(bench, f"plain-again-{turn}", Mode("plain"), bench.left() - 5, only)
        for key in keys if found is not None else ():
            entry = found["entries"].get(key)
            if entry is not None:
                hashes[key].add(entry.get("hash") or entry["state"])
    figures["plain, again"] = {
        "passes": bench.args.opdb_again,
        "hashes": {key: len(found) for key, found in hashes.items()},
    }
