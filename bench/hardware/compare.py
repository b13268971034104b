"""Compares two results files of opdb.py: faults, entries that differ, entries that only one of them has.

    compare.py plain.json shim.json [plain-again.json]

With a second plain file, entries that differ between the two plain runs are told apart: they are not deterministic
(uninitialised memory, atomics) and say nothing about the shim.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

UNINITIALISED = ("empty", "new_empty", "empty_like", "empty_permuted", "empty_strided", "new_empty_strided")


def _differing(first: dict, second: dict) -> list[str]:
    """Entries that both files ran to an end and whose outcome is not the same (hash, or error against none)."""
    return sorted(
        key for key in first.keys() & second.keys()
        if "fault" not in (first[key]["state"], second[key]["state"])
        and (first[key]["state"], first[key].get("hash"), first[key].get("message"))
        != (second[key]["state"], second[key].get("hash"), second[key].get("message"))
    )


def compare(plain: dict, other: dict, again: dict | None = None) -> dict:
    """Figures of `other` against `plain`; both are parsed results files."""
    first, second = plain["entries"], other["entries"]
    loose = set(_differing(first, again["entries"])) if again else set()
    differing = _differing(first, second)
    faulty_plain = {key for key, entry in first.items() if entry["state"] == "fault"}
    faults = {key for key, entry in second.items() if entry["state"] == "fault"}
    names = {key.split("|")[0] for key in second}
    return {
        "entries": len(second),
        "operators": len(names),
        "ran": sum(entry["state"] == "ok" for entry in second.values()),
        "refused": sum(entry["state"] == "error" for entry in second.values()),
        "faults": len(faults - faulty_plain),
        "faults_plain_too": len(faults & faulty_plain),
        "missing": len(first.keys() - second.keys()),
        "differ": len([key for key in differing if key not in loose]),
        "differ_plain_too": len([key for key in differing if key in loose]),
        "not_deterministic": sorted(loose),
        "fault_list": [f"{key}: {second[key]['message']}" for key in sorted(faults - faulty_plain)],
        "differ_list": [
            f"{key}{' (uninitialised)' if key.split('|')[0] in UNINITIALISED else ''}: "
            f"{_say(first[key])} → {_say(second[key])}"
            for key in differing if key not in loose
        ],
    }


def _say(entry: dict) -> str:
    return entry["hash"][:12] if entry["state"] == "ok" else f"{entry['state']}: {entry['message'][:120]}"


def main() -> int:
    if len(sys.argv) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    files = [json.loads(Path(path).read_text()) for path in sys.argv[1:]]
    figures = compare(*files)
    for name, value in figures.items():
        if isinstance(value, list):
            print(f"{name}:")
            for line in value:
                print(f"  {line}")
        else:
            print(f"{name}: {value}")
    return 1 if figures["faults"] or figures["differ"] else 0


if __name__ == "__main__":
    sys.exit(main())
