"""The short table of a results file: is it the same, what did it cost, how did it end."""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict

from latency import show
from one_run import Outcome

GIB = 1 << 30


def _bits(outcome: Outcome, reference: Outcome | None) -> str:
    if not outcome.ok:
        return "-"
    if reference is None or reference.result is None:
        return "?"
    if outcome.result["hash"] == reference.result["hash"]:
        return "same"
    return "losses same" if outcome.result["loss_bits"] == reference.result["loss_bits"] else "DIFFER"


def _end(outcomes: list[Outcome]) -> str:
    worst = next((o for o in outcomes if not o.ok), outcomes[0])
    if worst.ok:
        return "0"
    if worst.code is None:
        return "not run"
    return "time limit" if worst.timed_out else str(worst.code)


def _shim(outcomes: list[Outcome]) -> str:
    """What the shim counted in the last run; says so where it had switched itself off."""
    if not any("LD_PRELOAD" in o.environment for o in outcomes):
        return ""
    counted = outcomes[-1].telemetry
    if not counted or not counted["rows"]:
        return "no counters"
    names = ["launches", "packs", "unpacks", "spills", "edges", "false_alarms", "strict_unmaps", "verify_failures"]
    names.append("out_of_memory")
    text = ", ".join(f"{name} {counted[name]}" for name in names if counted[name])
    return f"{counted['mode']}{' (' + counted['cause'] + ')' if counted['mode'] != 'full' else ''}: {text}"


def rows(outcomes: list[Outcome]) -> list[tuple[str, ...]]:
    """One row per section, program and mode. The reference is the first plain run of that section, else of any."""
    groups: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    plain: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.section, outcome.program, outcome.mode].append(outcome)
        if outcome.mode.startswith("plain") and outcome.ok:
            plain[outcome.section, outcome.program].append(outcome)
    table = []
    for (section, program, mode), group in groups.items():
        scale = next((o.result["scale"] for o in group if o.ok), None)
        near: list[Outcome] = []
        for place in (section, "fits") if section == "limited" else (section, "plain", "reference", "fits"):
            near = near or [o for o in plain.get((place, program), []) if o.result["scale"] == scale]
        if section == "limited":  # against the same allocator without the shim
            near = [o for o in near if o.mode != "plain"] or near
        reference = near[0] if near else None
        # A row says "same" only if every run in it is the same.
        marks = [_bits(outcome, reference) for outcome in group]
        bits = next((mark for mark in marks if mark != "same"), "same")
        done = [o for o in group if o.ok and o.result["seconds"]]
        ratio = seconds = peak = ""
        if done:
            median = statistics.median(o.result["seconds"] for o in done)
            seconds, peak = f"{median * 1e3:.2f}", f"{done[0].result['peak_bytes'] / GIB:.2f}"
            base = [o.result["seconds"] for o in near if o.mode == reference.mode and o.result["seconds"]]
            if base:
                ratio = f"{median / statistics.median(base):.3f}"
        table.append((section, program, mode, str(len(group)), bits, seconds, ratio, peak, _end(group), _shim(group)))
    return table


def print_table(outcomes: list[Outcome], figures: dict) -> None:
    head = ("section", "program", "mode", "runs", "bits", "ms/step", "ratio", "peak GiB", "exit", "shim")
    table = [head, *rows(outcomes)]
    if len(table) > 1:
        widths = [max(len(row[column]) for row in table) for column in range(len(head))]
        for row in table:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for outcome in outcomes:
        if not outcome.ok:
            print(f"failed: {outcome.section} {outcome.program} {outcome.mode}: {outcome.cause[:300]}")
    if "latency" in figures:
        show(figures["latency"])
    for name, figure in figures.get("opdb", {}).items():
        print(f"opdb {name}: {json.dumps({k: v for k, v in figure.items() if not isinstance(v, list)})}")
        for line in [*figure.get("fault_list", []), *figure.get("differ_list", [])][:20]:
            print(f"  {line[:200]}")
    for name, counted in figures.get("telemetry", {}).items():
        if counted:
            print(f"opdb {name} counted: {json.dumps({k: v for k, v in counted.items() if v and k != 'events'})}")
    print(f"machine: {json.dumps(figures.get('machine'))}")


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        data = json.load(file)
    print_table([Outcome(**entry) for entry in data["outcomes"]], data["figures"])
