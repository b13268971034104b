"""Runs the measured programs plain and with the shim and says whether the bits are the same and what it cost.

    run.py --out FOLDER --sections plain,strict-learned --build build/release

Sections
  plain           every program without the shim, twice and with the other allocator: which are deterministic
  strict-learned  small, LORETOKEN_CHECK=strict, pointers learned; bits against the plain run
  strict-strict   the same with pointers strict
  fits            large, nothing limited, shim off and on in turns: time ratio of medians
  limited         training programs, large: limit = footprint / 1.3 and / 2; loss bits and time against plain
  latency         cost per launch, copy and allocation, shim off and on (--latency-binary)
  opdb            PyTorch's operator database, plain twice and strict (learned, then strict pointers)
Writes FOLDER/results.json and FOLDER/logs; the last thing printed is a table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import latency
import opdb_section
from one_run import PROGRAMS, TRAINING, Mode, Outcome, run_program
from table import print_table

SECTIONS = ["plain", "strict-learned", "strict-strict", "fits", "limited", "latency", "opdb"]
NOT_TORCH = ["cupy_kernels", "jax_mlp"]
FITS = [*TRAINING, "generate_llama"]


def machine() -> dict[str, str]:
    """What figures are recorded with: card, driver, commit, date, command."""
    try:
        query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        card = subprocess.run(query, check=False, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        card = "none"
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"card": card, "commit": os.environ.get("COMMIT", "unknown"), "date": when, "command": " ".join(sys.argv[1:])}


class Bench:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.out, self.build = args, Path(args.out), Path(args.build).resolve() if args.build else None
        self.deadline = time.monotonic() + args.budget
        self.outcomes: list[Outcome] = []
        self.figures: dict = {"machine": machine()}
        self.out.mkdir(parents=True, exist_ok=True)

    def left(self) -> float:
        return self.deadline - time.monotonic()

    def programs(self, allowed: list[str]) -> list[str]:
        return [name for name in allowed if not self.args.programs or name in self.args.programs]

    def run(self, program: str, section: str, mode: Mode, scale: str, label: str = "") -> Outcome:
        left = self.left()
        if left < 5:
            outcome = Outcome(program, section, mode.name, cause="not run: the time was used up")
        else:
            outcome = run_program(
                program, section, mode, scale=scale, device=self.args.device, build=self.build, out=self.out,
                timeout=min(self.args.timeout, left), label=label,
            )
        self.outcomes.append(outcome)
        said = "ok" if outcome.ok else f"code {outcome.code}: {outcome.cause}"
        print(f"[{self.args.budget - self.left():6.1f} s] {section} {program} {mode.name}{label}: {said}", flush=True)
        self.save()
        return outcome

    def save(self) -> None:
        text = json.dumps(
            {"arguments": vars(self.args), "outcomes": [o.as_dict() for o in list(self.outcomes)], "figures": self.figures},
            indent=1, default=str,
        )
        (self.out / "results.json").write_text(text)

    def shim(self, name: str, **settings: str) -> Mode:
        chosen = {f"LORETOKEN_{key.upper()}": value for key, value in settings.items()}
        chosen |= dict(pair.split("=", 1) for pair in self.args.set)
        return Mode(name, self.args.allocator, chosen)

    def side_by_side(self, jobs: list[tuple[str, str, Mode, str]]) -> None:
        """Runs untimed jobs (program, section, mode, label) --jobs at a time."""
        with ThreadPoolExecutor(self.args.jobs) as pool:
            list(pool.map(lambda job: self.run(job[0], job[1], job[2], self.args.scale or "small", job[3]), jobs))

    # Sections.

    def plain(self) -> None:
        names = self.programs(list(PROGRAMS))
        jobs = [(name, "plain", Mode("plain"), label) for label in ("", "-again") for name in names]
        if self.args.allocator != "caching":
            other = Mode(f"plain-{self.args.allocator}", self.args.allocator)
            jobs += [(name, "plain", other, "") for name in names if name not in NOT_TORCH]
        self.side_by_side(jobs)

    def strict(self, pointers: str) -> None:
        section = f"strict-{pointers}"
        names = self.programs(list(PROGRAMS))
        known = {o.program for o in self.outcomes if o.mode == "plain" and o.ok and o.section in ("plain", "reference")}
        jobs = [(name, "reference", Mode("plain"), "") for name in names if name not in known]
        mode = self.shim(section, check="strict", pointers=pointers, limit=self.args.strict_limit)
        self.side_by_side(jobs + [(name, section, mode, "") for name in names])

    def fits(self) -> None:
        plain, shim = Mode("plain"), self.shim("shim")
        same = Mode(f"plain-{self.args.allocator}", self.args.allocator)
        for name in self.programs(FITS):
            for turn in range(self.args.turns):
                first = self.run(name, "fits", plain, self.args.scale or "large", f"-{turn}")
                if not first.ok:
                    break
                self.run(name, "fits", shim, self.args.scale or "large", f"-{turn}")
                if self.args.allocator != "caching" and turn == 0:
                    self.run(name, "fits", same, self.args.scale or "large", f"-{turn}")

    def limited(self) -> None:
        for name in self.programs(TRAINING):
            scale = self.args.scale or "large"
            mode = Mode(f"plain-{self.args.allocator}", self.args.allocator)
            have = [o for o in self.outcomes if (o.program, o.section, o.mode) == (name, "fits", mode.name) and o.ok]
            plain = have[0] if have else self.run(name, "limited", mode, scale)
            if not plain.ok:
                continue
            footprint = plain.result["peak_bytes"]
            if not footprint:
                print(f"limited {name}: the plain run counted no footprint")
                continue
            for factor in (1.3, 2.0):
                limit = int(footprint / factor)
                mode = self.shim(f"limit-{factor:g}", limit=str(limit), virtual="400%", host=self.args.host)
                self.run(name, "limited", mode, scale)

    def latency(self) -> None:
        self.figures["latency"] = latency.measure(
            Path(self.args.latency_binary).resolve(), self.shim("shim"), self.build, self.out, min(120, self.left())
        )
        self.save()

    def opdb(self) -> None:
        self.figures["opdb"] = {}
        opdb_section.measure(self, self.figures["opdb"])
        self.save()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder for results.json and logs")
    parser.add_argument("--sections", default="plain", help=f"comma-separated: {','.join(SECTIONS)}")
    parser.add_argument("--build", help="the shim's build folder (lib/libloretoken.so in it)")
    parser.add_argument("--programs", nargs="+", choices=list(PROGRAMS), help="only these")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--scale", choices=["small", "large"], help="default: each section's own")
    parser.add_argument("--allocator", choices=["caching", "async", "nocache"], default="async", help="PyTorch's")
    parser.add_argument("--set", action="append", default=[], metavar="LORETOKEN_X=Y", help="further setting of the shim")
    parser.add_argument("--strict-limit", default="16GiB", help="limit in the strict sections")
    parser.add_argument("--host", default="40%", help="LORETOKEN_HOST in the limited section")
    parser.add_argument("--turns", type=int, default=2, help="how often `fits` takes turns")
    parser.add_argument("--jobs", type=int, default=4, help="untimed runs side by side")
    parser.add_argument("--timeout", type=float, default=120, help="seconds per run")
    parser.add_argument("--budget", type=float, default=540, help="seconds for everything")
    parser.add_argument("--latency-binary", help="built launch_latency")
    parser.add_argument("--opdb-workers", type=int, default=10)
    parser.add_argument("--opdb-reference", help="folder with plain-a.json and plain-b.json of an earlier call")
    parser.add_argument("--opdb-pointers", default="learned", help="comma-separated: learned,strict")
    parser.add_argument("--opdb-again", type=int, default=6, help="plain passes over entries that differ under the shim")
    parser.add_argument("--opdb-args", default="", help="further arguments of opdb.py, as one word")
    args = parser.parse_args()
    args.section_list = [name.strip() for name in args.sections.split(",") if name.strip()]
    for name in args.section_list:
        if name not in SECTIONS:
            parser.error(f"unknown section {name}: one of {', '.join(SECTIONS)}")
    if args.build is None and any(name != "plain" for name in args.section_list):
        parser.error("--build is needed by every section but plain")
    if "latency" in args.section_list and not args.latency_binary:
        parser.error("--latency-binary is needed by the section latency")
    return args


def main() -> int:
    bench = Bench(parse())
    for section in bench.args.section_list:
        if section.startswith("strict-"):
            bench.strict(section.removeprefix("strict-"))
        else:
            getattr(bench, section)()
    bench.save()
    print_table(bench.outcomes, bench.figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
