"""How long `reelbatch plan` takes, and how much memory, by rows.

`python -m bench.plan [--rows 1000 10000 100000]` prints one table. With images each row names a
local file, of which there are at most a thousand; the second row of a file costs a look only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

MOST_IMAGES = 1000
MEASURED = """
import resource, runpy, sys
sys.argv = ["reelbatch", *sys.argv[1:]]
try:
    runpy.run_module("reelbatch.cli", run_name="__main__")
finally:
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


def measure(rows: int, folder: Path, images: int) -> tuple[float, float]:
    """Seconds and peak megabytes of one `plan` without ledger or key."""
    manifest = write_manifest(folder, rows, images)
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
    print(f"{'rows':>8} {'seconds':>8} {'peak MB':>8}   (CSV, no ledger yet)")
    for rows in parser.parse_args().rows:
        for images in (0, min(rows, MOST_IMAGES)):
            with tempfile.TemporaryDirectory() as folder:
                seconds, megabytes = measure(rows, Path(folder), images)
            words = f"{images} local images" if images else "no images"
            print(f"{rows:8} {seconds:8.2f} {megabytes:8.0f}   {words}", flush=True)


if __name__ == "__main__":
    main()
