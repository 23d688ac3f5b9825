"""What stands between a user and the first video: `--help`, `plan` of 10 rows, `run` of one.

`python -m bench.start [--rounds 3]` prints one table. The Prefect home is used again from
round to round, as a user's is; the first round prepares it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from reelbatch.cli.emulated import EmulatedFal

JOB_SECONDS = 1.0


def timed(arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> float:
    begun = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "reelbatch.cli", *arguments],
        env=environment,
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return time.monotonic() - begun


def one_round(folder: Path, home: Path) -> tuple[float, float, float]:
    """Seconds of `--help`, of `plan`, and of `run` beyond the job's own."""
    manifest, one = folder / "ten.csv", folder / "one.csv"
    manifest.write_text("prompt\n" + "\n".join(f"kite {n}" for n in range(10)))
    one.write_text("prompt\na kite\n")
    fal = EmulatedFal.start(concurrency=2, service_seconds=JOB_SECONDS, options=["--media=tiny"])
    try:
        environment = {
            **os.environ,
            **fal.environment,
            "PREFECT_HOME": str(home),
            "REELBATCH_LEDGER": f"sqlite:///{folder / 'ledger.db'}",
            "REELBATCH_ARCHIVE": str(folder / "archive"),
        }
        return (
            timed(["--help"], environment, folder),
            timed(["plan", str(manifest)], environment, folder),
            timed(["run", str(one), "--yes"], environment, folder) - JOB_SECONDS,
        )
    finally:
        fal.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    measured = []
    with tempfile.TemporaryDirectory() as home:
        for _ in range(rounds + 1):
            with tempfile.TemporaryDirectory() as folder:
                measured.append(one_round(Path(folder), Path(home)))
    print(f"seconds, medians of {rounds}; in brackets the first time")
    names = ("--help", "plan of 10 rows", f"run of 1 row beyond its {JOB_SECONDS} s")
    for n, name in enumerate(names):
        again = statistics.median(round_[n] for round_ in measured[1:])
        print(f"  {name:30} {again:6.2f}  ({measured[0][n]:.2f})")


if __name__ == "__main__":
    main()
