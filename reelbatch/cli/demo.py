"""`make demo`: a whole run on this machine, without a key and without a cent.

The command is the real one, as a process; only fal is emulated, and the S3 server is local.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from reelbatch.cli.emulated import EmulatedFal
from reelbatch.cli.s3_server import LocalS3
from reelbatch.errors import ReelbatchError

MANIFEST = Path("manifests/demo.csv")
BUCKET = "reelbatch-demo"
ARCHIVE = f"s3://{BUCKET}/reels"
FOLDER = Path(".demo")
KEPT = Path("demo-archive")

# The demo must neither see nor touch what the user has set up for real runs.
THE_USERS_OWN = ("AWS_", "FAL_", "REELBATCH_", "PREFECT_")


def main() -> int:
    """The exit code of the run."""
    print("Starting an S3 server and an emulated fal on this machine: nothing here costs money.")
    with ExitStack() as stack:
        s3 = LocalS3.start(_fresh(FOLDER / "s3"))
        stack.callback(s3.stop)
        fal = EmulatedFal.start(concurrency=4, service_seconds=2)
        stack.callback(fal.stop)
        s3.client.create_bucket(Bucket=BUCKET)
        code = run_command(_environment(s3, fal))
        bring_home(s3, _fresh(KEPT))
    show(KEPT)
    return code


def run_command(environment: Mapping[str, str]) -> int:
    """`reelbatch run`, as anybody would type it; Ctrl-C is for it, and we wait."""
    arguments = ["run", str(MANIFEST), "--archive", ARCHIVE, "--yes"]
    print(f"\n$ reelbatch {' '.join(arguments)}\n", flush=True)
    run = subprocess.Popen([sys.executable, "-m", "reelbatch.cli", *arguments], env=environment)
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: run.terminate())
    return run.wait()


def bring_home(s3: LocalS3, folder: Path) -> None:
    """Every object of the archive as a file, so that it can be opened."""
    pages = s3.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    for found in (each for page in pages for each in page.get("Contents", [])):
        target = folder / found["Key"].removeprefix("reels/")
        target.parent.mkdir(parents=True, exist_ok=True)
        s3.client.download_file(BUCKET, found["Key"], str(target))


def show(folder: Path) -> None:
    """What was made, where it is, how to look at it."""
    from rich.console import Console
    from rich.table import Table

    videos = sorted(folder.rglob("*.mp4"))
    if not videos:
        return
    title = f"{len(videos)} videos archived in {ARCHIVE}, copied to {folder}/"
    table = Table(title=title, title_justify="left")
    for heading, justify in COLUMNS.items():
        table.add_column(heading, justify=justify, overflow="fold")
    for video in videos:
        table.add_row(*_described(video))
    console = Console()
    console.print("", table, sep="\n")
    opener = "open" if sys.platform == "darwin" else "xdg-open"
    console.print(f"Look at one:   {opener} {videos[0]}", soft_wrap=True)
    console.print(f"Its story:     {videos[0].with_suffix('.json')}", soft_wrap=True)
    console.print(f"Run it again:  it starts afresh in {FOLDER}/ and {folder}/.")


COLUMNS: Mapping[str, Any] = {"video": "left", "size": "right", "seconds": "right", "MB": "right"}


def _described(video: Path) -> tuple[str, ...]:
    size = f"{video.stat().st_size / 1e6:.2f}"
    sidecar = video.with_suffix(".json")
    if not sidecar.exists():
        return str(video), "", "", size
    media = json.loads(sidecar.read_text(encoding="utf-8"))["media"]
    dimensions = f"{media['width']}x{media['height']}"
    return str(video), dimensions, f"{media['duration_seconds']:.2f}", size


def _environment(s3: LocalS3, fal: EmulatedFal) -> dict[str, str]:
    """A ledger of its own, new each time; Prefect's home is kept, for preparing it takes long."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(THE_USERS_OWN)}
    ledger = _fresh(FOLDER / "ledger").absolute() / "ledger.db"
    return {
        **ours,
        **s3.environment,
        **fal.environment,
        "REELBATCH_LEDGER": f"sqlite:///{ledger}",
        "REELBATCH_LOG_LEVEL": "warning",  # For people, even where they look at it through a pipe.
        "PREFECT_HOME": str((FOLDER / "prefect").absolute()),
    }


def _fresh(folder: Path) -> Path:
    """An empty folder in place of whatever was there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ReelbatchError as error:
        sys.exit(str(error))
