"""Heat and power guardrails on a real card, with no agent: a program holds more than its limit while the control file first
allows everything, then asks for a card cooler, with more margin, or of less power than it is. The shim must slow packing
down, hold, turn off, and come back when the limit is lifted; results must be those of a plain run. At last the agent's
verdict slows packing to 1/2, 1/4 and 1/8: packs per second.

    python3 guardrails.py OUT BUILD [--steps 350] [--limit-mib 10000]

Needs what h200.sh built in BUILD, control_writer and telemetry_dump in BUILD/bin. Writes OUT/guardrails.json, prints a table;
exit 1 when something was not as it must be.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
THERMAL, POWER = 2, 3
MODES = ["full", "hold", "off"]
# Seconds within which a guardrail goes all its way up: at once, then two times 10 s (shim/src/guard/rail.h).
WAY_UP = 32


def smi(fields: str) -> list[str]:
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    return [word.strip() for word in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0].split(",")]


class Run:
    """The program under the shim, what is asked of it and what it counts."""

    def __init__(self, out: Path, build: Path, command: list[str], limit: int) -> None:
        self.control, self.telemetry, self.log = out / "control", out / "telemetry", out / "guarded.log"
        self.build, self.limit, self.generation = build, limit, 0
        self.uuid = smi("uuid")[0]
        self.write()
        environment = os.environ | {
            "LD_PRELOAD": str(build / "lib/libloretoken.so"),
            "LORETOKEN_KERNELS": str(build / "lib/loretoken_kernels.fatbin"),
            "LORETOKEN_LIMIT": str(limit),
            "LORETOKEN_VIRTUAL": "60GiB",
            "LORETOKEN_HOST": "40GiB",
            "LORETOKEN_CONTROL": str(self.control),
            "LORETOKEN_TELEMETRY": str(self.telemetry),
        }
        self.process = subprocess.Popen(command, env=environment, stdout=self.log.open("w"), stderr=subprocess.STDOUT)

    def write(self, **fields: int) -> None:
        self.generation += 1
        words = [f"{name}={number}" for name, number in (fields | {"limit": self.limit, "generation": self.generation}).items()]
        subprocess.run([self.build / "bin/control_writer", self.control, self.uuid, *words], check=True)

    def counted(self) -> dict:
        dump = subprocess.run([self.build / "bin/telemetry_dump", self.telemetry], capture_output=True, text=True)
        return json.loads(dump.stdout) if dump.returncode == 0 else {}

    def until(self, seconds: float, holds) -> dict | None:
        """What was counted when `holds` of it became true; None: it did not, or the program ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            counted = self.counted()
            if counted and holds(counted):
                return counted
            time.sleep(0.2)
        return None

    def events(self, guard: int, after: int) -> list[dict]:
        return [event for event in self.counted().get("events", [])[after:] if event["guard"] == guard]


def rail(run: Run, name: str, guard: int, **limit: int) -> dict:
    """One guardrail up and down again."""
    before = len(run.counted()["events"])
    run.write(**limit)
    off = run.until(WAY_UP, lambda counted: counted["mode"] == "off")
    measured = dict(zip(("celsius", "margin", "watts", "enforced_watts"), smi("temperature.gpu,temperature.gpu.tlimit,power.draw,enforced.power.limit")))
    run.write()
    back = run.until(20, lambda counted: counted["mode"] == "full")
    events = run.events(guard, before)
    ways = [(MODES[event["from"]], MODES[event["to"]]) for event in events]
    right = bool(off and back) and ways[:3] == [("full", "full"), ("full", "hold"), ("hold", "off")] and ways[3:] == [("off", "full")]
    return {"name": name, "asked": limit, "nvidia_smi": measured, "right": right, "events": events}


def rates(run: Run) -> list[dict]:
    """Packs per second at each pace."""
    found = []
    for backoff in range(4):
        run.write(verdict_guard=THERMAL if backoff else 0, verdict_backoff=backoff, beat=1)
        time.sleep(1)
        before, began = run.counted(), time.monotonic()
        for _ in range(6):
            time.sleep(1)
            run.write(verdict_guard=THERMAL if backoff else 0, verdict_backoff=backoff, beat=1)
        after, took = run.counted(), time.monotonic() - began
        ended = run.process.poll() is not None
        found.append({"backoff": backoff, "packs_per_second": None if ended else round((after["packs"] - before["packs"]) / took, 1)})
    run.write()
    return found


def result_of(log: Path) -> dict:
    lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("build", type=Path)
    parser.add_argument("--steps", type=int, default=350)
    parser.add_argument("--limit-mib", type=int, default=10000)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    os.environ["PYTORCH_ALLOC_CONF"] = os.environ["PYTORCH_CUDA_ALLOC_CONF"] = "backend:cudaMallocAsync"
    command = [sys.executable, str(HERE / "programs/train_mlp.py"), "--scale", "large", "--steps", str(args.steps)]

    run = Run(args.out, args.build.resolve(), command, args.limit_mib << 20)
    recording: dict = {"commit": os.environ.get("COMMIT", "unknown"), "card": smi("name,driver_version"), "rails": [], "rates": []}
    if run.until(90, lambda counted: counted["packs"] > 20):
        for name, guard, limit in [
            ("heat, degrees", THERMAL, {"max_temperature_milli": 20_000}),
            ("heat, margin", THERMAL, {"max_temperature_milli": -85_000}),
            ("power", POWER, {"max_power_permille": 50}),
        ]:
            recording["rails"].append(rail(run, name, guard, **limit))
        recording["rates"] = rates(run)
    recording["still_running"] = run.process.poll() is None
    status = run.process.wait()
    recording["counted"] = {name: value for name, value in run.counted().items() if name != "events"}
    plain = args.out / "plain.log"
    subprocess.run(command, stdout=plain.open("w"), stderr=subprocess.STDOUT)
    guarded, expected = result_of(run.log), result_of(plain)
    recording["same"] = status == 0 and "hash" in expected and guarded.get("hash") == expected["hash"]
    recording["seconds_per_step"] = [guarded.get("seconds"), expected.get("seconds")]
    (args.out / "guardrails.json").write_text(json.dumps(recording, indent=1))

    for found in recording["rails"]:
        told = ", ".join(f"{MODES[e['from']]} to {MODES[e['to']]} at {e['figure']} of {e['limit']}" for e in found["events"])
        print(f"{found['name']}: {'right' if found['right'] else 'WRONG'}; {found['nvidia_smi']}; {told}")
    print("packs per second at 1, 1/2, 1/4, 1/8:", [rate["packs_per_second"] for rate in recording["rates"]])
    print(f"exit {status}, results {'same' if recording['same'] else 'DIFFER'}, seconds per step {recording['seconds_per_step']}, "
          f"ran through all: {recording['still_running']}")
    good = recording["same"] and recording["still_running"] and len(recording["rails"]) == 3 and all(f["right"] for f in recording["rails"])
    return 0 if good else 1


sys.exit(main())
