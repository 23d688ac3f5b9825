"""How busy a run keeps fal's slots, beside a plain loop with fal_client on the same work.

`python -m bench.slots [--pairs 3] [--mix 40x1 ...] [--options "--collect webhook"]` prints one
table a mix, medians of interleaved pairs. Both archive to S3 (weed); reelbatch also keeps its
ledger (SQLite), checks each video and writes its sidecar. Prefect's server serves all rounds and
has a column of its own, and so has the emulator (`python -m bench.emulator` shows what it can).
*Of ideal* is beside slots that take the next job at once: where jobs differ, the last long ones
leave slots that nobody can fill.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence

from bench.sides import Mix, Round, paired, place

MIXES = {
    "40x1": Mix(jobs=200, slots=40, seconds=1.0),
    "40xspread": Mix(jobs=200, slots=40, seconds=1.2, sigma=0.4),
    "2x1": Mix(jobs=20, slots=2, seconds=1.0),
    "400x5": Mix(jobs=2000, slots=400, seconds=5.0),
}
COLUMNS = (
    *("wall s", "beyond s", "busy", "of ideal", "calls/job", "CPU s", "MB"),
    *("fal's CPU", "Prefect's", "late p50", "p95"),
)


MEDIANS = (
    *("wall", "beyond", "busy", "of_ideal", "calls_a_job", "cpu", "megabytes"),
    *("fal_cpu", "prefect_cpu"),
)


def figures(rounds: Sequence[Round]) -> list[float]:
    """Medians, in the order of COLUMNS."""

    def median(name: str) -> float:
        return float(statistics.median(getattr(one, name) for one in rounds))

    late = sorted(seconds for one in rounds for seconds in one.late) or [float("nan")]
    return [
        *(median(name) for name in MEDIANS),
        late[len(late) // 2],
        late[int(0.95 * (len(late) - 1))],
    ]


def show(name: str, values: Sequence[float]) -> None:
    print(f"  {name:10}" + "".join(f"{value:10.2f}" for value in values), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--mix", nargs="+", choices=MIXES, default=list(MIXES))
    parser.add_argument("--options", default="", help="more options for `reelbatch run`")
    parser.add_argument("--alone", action="store_true", help="without the peer")
    asked = parser.parse_args()
    with place() as at:
        for mix in (MIXES[name] for name in asked.mix):
            options = asked.options.split() or ["--max-in-flight", str(2 * mix.slots)]
            ours, peers = [], []
            for _ in paired(asked.pairs):
                ours.append(at.reelbatch(mix, *options))
                if not asked.alone:
                    peers.append(at.peer(mix))
            print(f"{mix}; ideal {mix.ideal:.2f} s; medians of {asked.pairs}")
            print(
                f"  videos of {mix.media_bytes} bytes, to S3 (weed); {' '.join(options)}; no pace"
            )
            print(f"  {'':10}" + "".join(f"{name:>10}" for name in COLUMNS))
            show("reelbatch", figures(ours))
            if peers:
                show("fal_client", figures(peers))


if __name__ == "__main__":
    main()
