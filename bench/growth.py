"""Whether a row costs the same in a large batch: CPU of a whole `reelbatch run`, by rows.

`python -m bench.growth [--rows 100 1000 10000] [--slots 400] [--rounds 3]` prints one table,
medians. The first column takes off what a run of one row costs: the start, which a large batch
shares out. Videos are small here, for bytes cost the same in any batch
(`python -m bench.archive_path`). The peer is the plain loop, in the same rounds.
"""

from __future__ import annotations

import argparse
from statistics import median

from bench.sides import Mix, paired, place

SECONDS = 1.0
MEDIA_BYTES = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--slots", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    window = ("--max-in-flight", str(asked.slots))
    with place() as at:

        def mix(jobs: int) -> Mix:
            return Mix(jobs=jobs, slots=asked.slots, seconds=SECONDS, media_bytes=MEDIA_BYTES)

        start = median(at.reelbatch(mix(1), *window).cpu for _ in range(asked.rounds))
        print(
            f"a run of one row: {start:.2f} s CPU; {asked.slots} slots of {SECONDS:g} s, S3 (weed)"
        )
        print(f"{'':8} {'reelbatch':>41} {'fal_client loop':>17}")
        print(
            f"{'rows':>8} {'ms/row beyond':>14} {'ms/row':>8} {'peak MB':>8} {'rows/s':>8}"
            f" {'ms/row':>8} {'rows/s':>8}"
        )
        for rows in asked.rows:
            pairs = [
                (at.reelbatch(mix(rows), *window), at.peer(mix(rows))) for _ in paired(asked.rounds)
            ]
            whole = median(1000 * one.cpu / rows for one, _ in pairs)
            print(f"{rows:8} {whole - 1000 * start / rows:14.1f} {whole:8.1f}", end="")
            print(f" {median(one.megabytes for one, _ in pairs):8.0f}", end="")
            print(f" {median(rows / one.wall for one, _ in pairs):8.1f}", end="")
            print(f" {median(1000 * peer.cpu / rows for _, peer in pairs):8.1f}", end="")
            print(f" {median(rows / peer.wall for _, peer in pairs):8.1f}", flush=True)


if __name__ == "__main__":
    main()
