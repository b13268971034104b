"""Runs PyTorch's operator database in several worker processes and writes a hash per entry and type.

    opdb.py --out results.json --workers 10 --time-limit 300

Each worker has a shard (opdb_worker.py). One that dies, or does not answer, is a fault of the entry it was at; the
shard goes on after it in a fresh process. The file is rewritten every second, so what is done is there after a stop.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

WORKER = Path(__file__).resolve().parent / "opdb_worker.py"


class Shard(threading.Thread):
    """Keeps one shard's worker alive until the shard is done, given up, or the time is over."""

    def __init__(self, index: int, args: argparse.Namespace, results: Results, further: list[str]) -> None:
        super().__init__(daemon=True)
        self.index, self.args, self.results, self.further = index, args, results, further
        self.process: subprocess.Popen | None = None
        target = Path(args.out)
        self.errors = target.parent / "logs" / f"{target.stem}.shard{index}.log"

    def run(self) -> None:
        start, idle_deaths = 0, 0
        while time.monotonic() < self.results.deadline:
            begun, done, why = self._worker(start)
            if done:
                return
            if begun is None:
                idle_deaths += 1
                if idle_deaths == 2:
                    self.results.give_up(self.index, start, why)
                    return
                continue
            idle_deaths = 0
            start = begun + 1

    def _worker(self, start: int) -> tuple[int | None, bool, str]:
        """One process from position `start`: the last position begun, whether the shard is done, why it ended."""
        command = [
            sys.executable, str(WORKER), "--shard", str(self.index), "--of", str(self.args.workers), "--start", str(start),
            *self.further,
        ]
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, env=os.environ | {"PYTHONHASHSEED": "0"}
            )
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, args=(self.process, lines), daemon=True).start()
        begun, open_key = None, None
        while True:
            patience = self.args.entry_limit if begun is not None else self.args.start_limit
            left = self.results.deadline - time.monotonic()
            try:
                line = lines.get(timeout=max(0.1, min(patience, left)))
            except queue.Empty:
                self.process.kill()
                self.process.wait()
                if time.monotonic() >= self.results.deadline:
                    return begun, False, "time limit"
                if open_key is not None:
                    self.results.add(open_key, {"state": "fault", "message": f"no answer in {patience:.0f} s"})
                return begun, False, f"no answer in {patience:.0f} s"
            if line is None:
                code = self.process.wait()
                if open_key is not None:
                    self.results.add(open_key, {"state": "fault", "message": f"ended with {code}: {self._tail()}"})
                return begun, False, f"ended with {code}: {self._tail()}"
            message = json.loads(line)
            if "begin" in message:
                begun, open_key = message["begin"], message["key"]
            elif "key" in message:
                open_key = None
                self.results.add(message.pop("key"), message)
            elif "done" in message:
                self.process.kill()
                self.process.wait()
                return begun, True, "done"

    @staticmethod
    def _read(process: subprocess.Popen, lines: queue.Queue[str | None]) -> None:
        for line in process.stdout:
            if line.startswith(b"{"):
                lines.put(line.decode())
        lines.put(None)

    def _tail(self) -> str:
        lines = [line.strip() for line in self.errors.read_text(errors="replace").splitlines() if line.strip()]
        return " | ".join(lines[-2:])[-300:]


class Results:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.begin = args, time.monotonic()
        self.deadline = self.begin + args.time_limit
        self.lock = threading.Lock()
        self.entries: dict[str, dict] = {}
        self.given_up: list[dict] = []

    def add(self, key: str, entry: dict) -> None:
        with self.lock:
            self.entries[key] = entry

    def give_up(self, shard: int, position: int, why: str) -> None:
        with self.lock:
            self.given_up.append({"shard": shard, "position": position, "why": why})

    def write(self) -> None:
        with self.lock:
            data = {
                "arguments": vars(self.args), "seconds": time.monotonic() - self.begin, "given_up": self.given_up,
                "entries": dict(sorted(self.entries.items())),
            }
        temporary = Path(f"{self.args.out}.part")
        temporary.write_text(json.dumps(data, indent=0))
        temporary.replace(self.args.out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--time-limit", type=float, default=500, help="seconds for everything")
    parser.add_argument("--entry-limit", type=float, default=60, help="seconds without an answer that are a fault")
    parser.add_argument("--start-limit", type=float, default=120, help="seconds a worker may take to start")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--samples", default="2")
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--only", default="")
    parser.add_argument("--fill", action="store_true")
    args = parser.parse_args()
    (Path(args.out).parent / "logs").mkdir(parents=True, exist_ok=True)

    further = ["--device", args.device, "--samples", args.samples, "--dtypes", args.dtypes, "--only", args.only]
    further += ["--fill"] if args.fill else []
    results = Results(args)
    shards = [Shard(index, args, results, further) for index in range(args.workers)]
    for shard in shards:
        shard.start()
    while any(shard.is_alive() for shard in shards) and time.monotonic() < results.deadline + 5:
        time.sleep(1)
        results.write()
    for shard in shards:
        if shard.process is not None and shard.process.poll() is None:
            shard.process.kill()
    results.write()
    states: dict[str, int] = {}
    for entry in results.entries.values():
        states[entry["state"]] = states.get(entry["state"], 0) + 1
    print(json.dumps({"entries": len(results.entries), **states, "given_up": results.given_up}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
