"""A batch in a storm: all faults of fal, random kills; then calm, and the books are checked.

`python -m bench.chaos [--seed 7] [--jobs 500] [--seconds 120] [--processes 2]` prints one line a
seed: accepted, archived, in doubt, duplicates, lost (counting.py says what each of them means).
Exit status: 0 when duplicates and lost are 0 for every seed, else 1; what was wrong, and where
everything lies that tells of it, is on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.counting import Score, duplicates, lost, score
from bench.findings import Findings, last_deadline
from bench.ordeal import Door, Ordeal
from bench.rows import write_manifest
from bench.storm import BUSY_SHARE, SLOTS, WINDOW, Storm
from reelbatch.cli.emulated import EmulatedFal
from reelbatch.cli.prefect_home import take_home
from reelbatch.cli.prefect_server import OwnServer

START_TIMEOUT, RUN_TIMEOUT, GRACE = 8.0, 6.0, 4.0
ONE_STORM = threading.Lock()
"""Of several seeds; one batch's calm may pass while the next one's storm blows."""
MOST_ROUNDS = 20

Totals = Mapping[str, Any]


def weathered(storm: Storm, jobs: int, processes: int, prefect: OwnServer, folder: Path) -> Score:
    """One batch through one storm, from its first run to the last."""
    fal = EmulatedFal.start(
        concurrency=SLOTS,
        service_seconds=BUSY_SHARE * SLOTS * storm.seconds / jobs,
        options=["--media=tiny"],
    )
    try:
        ordeal = Ordeal(
            storm=storm,
            door=Door(fal),
            command=[*REELBATCH, "run", str(write_manifest(folder, jobs)), *HOW],
            environment=environment(fal, prefect, folder),
            folder=folder,
            at_work=b"in flight",
            lanes=processes,
        )
        with ONE_STORM:
            ordeal.run()
        until_nothing_moves(ordeal)
        return judged(ordeal)
    finally:
        fal.stop()


REELBATCH = (sys.executable, "-m", "reelbatch.cli")
HOW = ("--yes", "--json", f"--max-in-flight={WINDOW}")


def environment(fal: EmulatedFal, prefect: OwnServer, folder: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("REELBATCH_")},
        **fal.environment,
        "REELBATCH_LEDGER": f"sqlite:///{folder / 'ledger.db'}",
        "REELBATCH_ARCHIVE": str(folder / "archive"),
        "REELBATCH_START_TIMEOUT": str(START_TIMEOUT),
        "REELBATCH_RUN_TIMEOUT": str(RUN_TIMEOUT),
        "REELBATCH_IN_DOUBT_GRACE": str(GRACE),
        "PREFECT_API_URL": prefect.api_url,
    }


def until_nothing_moves(ordeal: Ordeal) -> None:
    """In the calm: run, and ask again for what failed, until only hopeless doubts are left."""
    for _ in range(MOST_ROUNDS):
        begun = datetime.now(UTC)
        totals = totals_of(ordeal.start())
        if totals and totals["failed"]:
            totals = totals_of(ordeal.start(*REELBATCH, "retry", "storm", *HOW))
        moving = not totals or totals["failed"] or totals["remaining"]
        if not moving and last_deadline(ordeal.folder) < begun:
            return


def totals_of(said: Path) -> Totals:
    words = said.with_suffix(".out").read_text()
    return dict(json.loads(words)) if words.strip() else {}


def judged(ordeal: Ordeal) -> Score:
    submissions = ordeal.door.submissions()
    print(f"  {ordeal}", file=sys.stderr)
    found = Findings.of(ordeal.folder, submissions, ordeal.door)
    result = score(
        submissions,
        archived=found.archived,
        in_doubt=found.in_doubt,
        damaged=found.damaged,
    )
    for one in duplicates(submissions):
        print(f"  duplicate: {one['request_id']} {one['body']['prompt']}", file=sys.stderr)
    for prompt in lost(submissions, archived=found.archived, in_doubt=found.in_doubt):
        print(f"  lost: {prompt}: {found.states.get(prompt)}", file=sys.stderr)
    for prompt, why in found.damaged.items():
        print(f"  damaged: {prompt}: {why}", file=sys.stderr)
    return result


def broken_processes(folder: Path) -> list[Path]:
    return [one for one in (folder / "said").glob("*.err") if "Traceback" in one.read_text()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, nargs="+", default=[7])
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--processes", type=int, default=2, choices=range(1, 5))
    parser.add_argument(
        "--folder", type=Path, help="a new folder; it stays (default: a passing one)"
    )
    asked = parser.parse_args()
    home = asked.folder or Path(tempfile.mkdtemp(prefix="reelbatch-chaos-"))
    prefect = OwnServer(take_home(home / "prefect"), os.environ)
    prefect.wait_ready()
    try:
        storms = [Storm(seed=seed, seconds=asked.seconds) for seed in asked.seed]
        with ThreadPoolExecutor(len(storms)) as threads:
            clean = list(threads.map(lambda storm: told(storm, asked, prefect, home), storms))
    finally:
        prefect.stop()
    if all(clean) and not asked.folder:
        shutil.rmtree(home)
    return 0 if all(clean) else 1


def told(storm: Storm, asked: argparse.Namespace, prefect: OwnServer, home: Path) -> bool:
    folder = home / f"seed-{storm.seed}"
    folder.mkdir()
    result = weathered(storm, asked.jobs, asked.processes, prefect, folder)
    print(f"seed {storm.seed}: {result}", flush=True)
    broken = broken_processes(folder)
    for one in broken:
        print(f"  a traceback: {one}", file=sys.stderr)
    if not result.clean:
        print(f"  everything that tells of it: {folder}", file=sys.stderr)
    return result.clean and not broken


if __name__ == "__main__":
    sys.exit(main())
