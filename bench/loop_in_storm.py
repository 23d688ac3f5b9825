"""The usual loop with fal_client (usual_loop.py) in the same storm: one process at a time.

`python -m bench.loop_in_storm [--seed 7] [--jobs 500] [--seconds 120] [--remember-ids]` prints
the line that chaos.py prints. fal_client comes as it is: HTTPS_PROXY and SSL_CERT_FILE lead it
to the emulator, under fal's own names. In the calm the loop is started again until all is done.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.counting import Score, Submission, is_good, prompt_of, score
from bench.ordeal import Door, Ordeal
from bench.rows import prompts, write_manifest
from bench.storm import BUSY_SHARE, SLOTS, Storm
from reelbatch.cli.emulated import KEY, EmulatedFal

LOOP = (sys.executable, str(Path(__file__).with_name("usual_loop.py")))
MOST_ROUNDS = 10
OTHERS = ("FAL_", "SSL_CERT", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


def weathered(storm: Storm, jobs: int, options: Sequence[str], folder: Path) -> Score:
    fal = EmulatedFal.start(
        concurrency=SLOTS,
        service_seconds=BUSY_SHARE * SLOTS * storm.seconds / jobs,
        options=["--media=tiny", "--tls", "--proxy"],
    )
    try:
        ready = json.loads(fal.child.said())
        ordeal = Ordeal(
            storm=storm,
            door=Door(fal, ready["ca_file"]),
            command=[*LOOP, str(write_manifest(folder, jobs)), str(folder), *options],
            environment=environment(ready["proxy_url"], ready["ca_file"]),
            folder=folder,
            at_work=b"to make",
        )
        ordeal.run()
        until_all_is_done(ordeal, jobs)
        print(f"  {ordeal}", file=sys.stderr)
        return judged(ordeal)
    finally:
        fal.stop()


def environment(proxy_url: str, ca_file: str) -> dict[str, str]:
    clean = {
        name: value for name, value in os.environ.items() if not name.upper().startswith(OTHERS)
    }
    return clean | {"FAL_KEY": KEY, "HTTPS_PROXY": proxy_url, "SSL_CERT_FILE": ca_file}


def until_all_is_done(ordeal: Ordeal, jobs: int) -> None:
    done = ordeal.folder / "done.csv"
    for _ in range(MOST_ROUNDS):
        ordeal.start()
        if len(done.read_text().splitlines()) >= jobs:
            return


def judged(ordeal: Ordeal) -> Score:
    """A video counts when it is, byte for byte, one that fal made for that row."""
    submissions = ordeal.door.submissions()
    kept = {
        prompt: (ordeal.folder / "videos" / f"{row_id}.mp4")
        for row_id, prompt in prompts(ordeal.folder / "storm.csv").items()
    }
    made = [one for one in submissions if is_good(one)]
    archived = {prompt_of(one) for one in made if is_kept(one, kept[prompt_of(one)], ordeal.door)}
    return score(submissions, archived=archived)


def is_kept(one: Submission, video: Path, door: Door) -> bool:
    return video.exists() and video.read_bytes() == door.content(one["answer"]["video"]["url"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--remember-ids", action="store_true")
    asked = parser.parse_args()
    options = ["--remember-ids"] if asked.remember_ids else []
    storm = Storm(seed=asked.seed, seconds=asked.seconds)
    with tempfile.TemporaryDirectory() as folder:
        print(f"seed {asked.seed}: {weathered(storm, asked.jobs, options, Path(folder))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
