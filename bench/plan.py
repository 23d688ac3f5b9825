"""How long `reelbatch plan` takes, and how much memory, by rows.

`python bench/plan.py [--rows 1000 10000 100000]` prints one table.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MEASURED = """
import resource, runpy, sys
sys.argv = ["reelbatch", *sys.argv[1:]]
try:
    runpy.run_module("reelbatch.cli", run_name="__main__")
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def measure(rows: int, folder: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of one `plan` without ledger or key."""
    manifest = folder / f"plan-{rows}.csv"
    lines = (f"row-{n},A red kite over the sea number {n},campaign-{n % 7}" for n in range(rows))
    manifest.write_text("\n".join(["id,prompt,campaign", *lines]))
    environment = {name: value for name, value in os.environ.items() if name != "FAL_KEY"}
    environment["REELBATCH_LEDGER"] = f"sqlite:///{folder / 'none.db'}"
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "plan", str(manifest)],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    return time.monotonic() - begun, int(done.stderr.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10, 1_000, 10_000, 100_000])
    print(f"{'rows':>8} {'seconds':>8} {'peak MB':>8}   (CSV, no images, no ledger yet)")
    with tempfile.TemporaryDirectory() as folder:
        for rows in parser.parse_args().rows:
            seconds, megabytes = measure(rows, Path(folder))
            print(f"{rows:8} {seconds:8.2f} {megabytes:8.0f}")


if __name__ == "__main__":
    main()
