"""How busy a run keeps fal's slots: share of slot time, status calls a job, CPU.

`python bench/slots.py [--jobs 200] [--slots 40] [--seconds 1.0] [--rounds 3]` prints one table.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from reelbatch.cli.emulated import EmulatedFal


@dataclass(frozen=True, kw_only=True)
class Round:
    """One run, measured at the emulator."""

    busy: float
    calls_a_job: float
    wall: float
    cpu: float
    accepted: int


def measure(folder: Path, jobs: int, slots: int, seconds: float, max_in_flight: str) -> Round:
    """A whole `reelbatch run` in a process of its own."""
    fal = EmulatedFal.start(concurrency=slots, service_seconds=seconds, options=["--media=tiny"])
    try:
        manifest = folder / "bench.csv"
        lines = [f"r{n},a red kite over the sea number {n}" for n in range(jobs)]
        manifest.write_text("\n".join(["id,prompt", *lines]))
        cpu = _run(manifest, folder, fal, max_in_flight)
        state = httpx.get(f"{fal.queue_url}/_emulator/state").json()
        return _round(state, jobs, slots, seconds, cpu)
    finally:
        fal.stop()


def _run(manifest: Path, folder: Path, fal: EmulatedFal, max_in_flight: str) -> float:
    """CPU seconds of the command and its Prefect server."""
    environment = {
        **os.environ,
        **fal.environment,
        "REELBATCH_LEDGER": f"sqlite:///{folder / 'ledger.db'}",
        "REELBATCH_ARCHIVE": str(folder / "archive"),
    }
    command = [sys.executable, "-m", "reelbatch.cli", "run", str(manifest), "--yes"]
    command += ["--max-in-flight", max_in_flight]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _round(state: dict[str, Any], jobs: int, slots: int, seconds: float, cpu: float) -> Round:
    shown = state["slots"]
    first, last = shown["first_submitted_at"], shown["last_completed_at"]
    wall = (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
    return Round(
        busy=jobs * seconds / (slots * wall),
        calls_a_job=state["calls"].get("status", 0) / jobs,
        wall=wall,
        cpu=cpu,
        accepted=state["accepted"]["total"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--slots", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-in-flight", default="auto")
    asked = parser.parse_args()
    rounds = []
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(
                measure(Path(folder), asked.jobs, asked.slots, asked.seconds, asked.max_in_flight)
            )
    print(
        f"{asked.jobs} jobs of {asked.seconds} s, {asked.slots} slots, SQLite, directory; "
        f"medians of {asked.rounds}"
    )
    ideal = asked.jobs * asked.seconds / asked.slots
    for name, unit in (("busy", ""), ("calls_a_job", ""), ("wall", "s"), ("cpu", "s")):
        values = [getattr(one, name) for one in rounds]
        print(f"  {name:12} {statistics.median(values):7.2f} {unit}   {values}")
    print(f"  ideal wall   {ideal:7.2f} s; accepted {[one.accepted for one in rounds]}")


if __name__ == "__main__":
    main()
