"""What stands between a user and the first video: `--help`, `plan` of 10 rows, `run` of one.

`python -m bench.start [--rounds 3]` prints one table. The Prefect home is used again from
round to round, as a user's is; the first round prepares it. Beside it, what anybody's flow pays:
Prefect, fal_client, boto3 and pandas imported, and an empty flow on a server of its own.
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
IMPORTS = "import boto3, fal_client, pandas, prefect"
OURS = ("-m", "reelbatch.cli")
NAMES = (
    "--help",
    "plan of 10 rows",
    f"run of 1 row beyond its {JOB_SECONDS} s",
    "peer: imports alone",
    "peer: an empty flow",
)
EMPTY_FLOW = """
from prefect import flow
@flow
def empty(): pass
empty()
"""


def timed(arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> float:
    begun = time.monotonic()
    subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return time.monotonic() - begun


def one_round(folder: Path, home: Path) -> tuple[float, ...]:
    """Seconds of each line of the table; of `run` beyond the job's own."""
    manifest, one = folder / "ten.csv", folder / "one.csv"
    manifest.write_text("prompt\n" + "\n".join(f"kite {n}" for n in range(10)))
    one.write_text("prompt\na kite\n")
    flow = folder / "empty.py"
    flow.write_text(EMPTY_FLOW)
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
            timed([*OURS, "--help"], environment, folder),
            timed([*OURS, "plan", str(manifest)], environment, folder),
            timed([*OURS, "run", str(one), "--yes"], environment, folder) - JOB_SECONDS,
            timed(["-c", IMPORTS], environment, folder),
            timed([str(flow)], environment, folder),
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
    for n, name in enumerate(NAMES):
        again = statistics.median(round_[n] for round_ in measured[1:])
        print(f"  {name:30} {again:6.2f}  ({measured[0][n]:.2f})")


if __name__ == "__main__":
    main()
