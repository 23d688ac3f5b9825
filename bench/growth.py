"""Whether a row costs the same in a large batch: CPU of a whole `reelbatch run`, by rows.

`python -m bench.growth [--rows 100 1000 10000] [--slots 400]` prints one table. The first column
takes off what a run of one row costs: the start, which a large batch shares out. Videos are small
here, for bytes cost the same in any batch (`python -m bench.archive_path`).
"""

from __future__ import annotations

import argparse

from bench.sides import Mix, place

SECONDS = 1.0
MEDIA_BYTES = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--slots", type=int, default=400)
    asked = parser.parse_args()
    window = ("--max-in-flight", str(asked.slots))
    with place() as at:

        def mix(jobs: int) -> Mix:
            return Mix(jobs=jobs, slots=asked.slots, seconds=SECONDS, media_bytes=MEDIA_BYTES)

        start = at.reelbatch(mix(1), *window).cpu
        print(
            f"a run of one row: {start:.2f} s CPU; {asked.slots} slots of {SECONDS:g} s, S3 (weed)"
        )
        print(f"{'rows':>8} {'ms/row beyond':>14} {'ms/row':>8} {'peak MB':>8} {'rows/s':>8}")
        for rows in asked.rows:
            one = at.reelbatch(mix(rows), *window)
            beyond, whole = (1000 * cpu / rows for cpu in (one.cpu - start, one.cpu))
            print(f"{rows:8} {beyond:14.1f} {whole:8.1f}", end="")
            print(f" {one.megabytes:8.0f} {rows / one.wall:8.1f}", flush=True)


if __name__ == "__main__":
    main()
