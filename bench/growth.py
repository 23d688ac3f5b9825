"""Whether a row costs the same in a large batch: CPU of a whole `reelbatch run`, by rows.

`python -m bench.growth [--rows 100 1000 10000] [--slots 400]` prints one table. The first column
takes off what a run of one row costs: the start, which a large batch shares out.
"""

from __future__ import annotations

import argparse

from bench.sides import Mix, place

SECONDS = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--slots", type=int, default=400)
    asked = parser.parse_args()
    window = ("--max-in-flight", str(asked.slots))
    with place() as at:
        start = at.reelbatch(Mix(jobs=1, slots=asked.slots, seconds=SECONDS), *window).cpu
        print(
            f"a run of one row: {start:.2f} s CPU; {asked.slots} slots of {SECONDS:g} s, S3 (weed)"
        )
        print(f"{'rows':>8} {'ms/row beyond':>14} {'ms/row':>8} {'peak MB':>8} {'rows/s':>8}")
        for rows in asked.rows:
            one = at.reelbatch(Mix(jobs=rows, slots=asked.slots, seconds=SECONDS), *window)
            beyond, whole = (1000 * cpu / rows for cpu in (one.cpu - start, one.cpu))
            print(f"{rows:8} {beyond:14.1f} {whole:8.1f}", end="")
            print(f" {one.megabytes:8.0f} {rows / one.wall:8.1f}", flush=True)


if __name__ == "__main__":
    main()
