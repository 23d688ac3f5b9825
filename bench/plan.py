"""How long `reelbatch plan` takes, and how much memory, by rows, beside pandas and Pillow.

`python -m bench.plan [--rows 1000 10000 100000] [--rounds 3]` prints one table, medians of rounds
that take turns. With images each row names a local file, of which there are at most a thousand;
the second row of a file costs a look only. The peer reads the same CSV with pandas and opens the
same images with Pillow; it looks at nothing else.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

MOST_IMAGES = 1000
PLAN = """
import resource, runpy, sys
sys.argv = ["reelbatch", "plan", *sys.argv[1:]]
try:
    runpy.run_module("reelbatch.cli", run_name="__main__")
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""
PEER = """
import resource, sys
import pandas
from PIL import Image
rows = pandas.read_csv(sys.argv[1], dtype=str, keep_default_na=False)
for name in sorted(set(rows["image"]) - {""}):
    with Image.open(name) as image:
        image.verify()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def write_manifest(folder: Path, rows: int, images: int) -> Path:
    """`images` is how many files there are to choose from; without any, no row has one."""
    for n in range(images):
        Image.new("RGB", (720, 720), (n % 256, n // 256, 90)).save(folder / f"{n}.png")
    manifest = folder / f"plan-{rows}.csv"
    lines = (
        f"row-{n},A red kite over the sea number {n},{f'{n % images}.png' if images else ''}"
        for n in range(rows)
    )
    manifest.write_text("\n".join(["id,prompt,image", *lines]))
    return manifest


def measure(program: str, manifest: Path) -> tuple[float, float]:
    """Seconds and peak megabytes, without ledger or key."""
    folder = manifest.parent
    environment = {name: value for name, value in os.environ.items() if name != "FAL_KEY"}
    environment["REELBATCH_LEDGER"] = f"sqlite:///{folder / 'none.db'}"
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, str(manifest)],
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
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(f"{'':8} {'reelbatch':>17} {'pandas, Pillow':>17}   (CSV, no ledger yet)")
    print(f"{'rows':>8} {'seconds':>8} {'peak MB':>8} {'seconds':>8} {'peak MB':>8}")
    for rows in asked.rows:
        for images in (0, min(rows, MOST_IMAGES)):
            with tempfile.TemporaryDirectory() as folder:
                manifest = write_manifest(Path(folder), rows, images)
                taken = [
                    measure(PLAN, manifest) + measure(PEER, manifest) for _ in range(asked.rounds)
                ]
            ours, memory, peers, theirs = (
                statistics.median(column) for column in zip(*taken, strict=True)
            )
            words = f"{images} local images" if images else "no images"
            figures = f"{ours:8.2f} {memory:8.0f} {peers:8.2f} {theirs:8.0f}"
            print(f"{rows:8} {figures}   {words}", flush=True)


if __name__ == "__main__":
    main()
