"""`make demo` makes every video of its manifest and puts it where it can be opened."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reelbatch.cli.prefect_server import OwnServer
from tests.parts.prefect import WITHOUT_PREFECT

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, prefect_server: OwnServer) -> Path:
    """The demo's manifests, and a Prefect home that is prepared already."""
    shutil.copytree(REPOSITORY / "manifests", tmp_path / "manifests")
    home = tmp_path / ".demo" / "prefect"
    home.mkdir(parents=True)
    prepared = prefect_server.home.prepared
    for name in ("prefect.db", prepared.name):
        shutil.copy(prepared, home / name)
    return tmp_path


@pytest.mark.slow
def test_the_demo_shows_every_video_it_archived(folder: Path) -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "reelbatch.cli.demo"],
        cwd=folder,
        env=WITHOUT_PREFECT,
        capture_output=True,
        text=True,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert " of 11 archived; " in demo.stderr, "progress, though nobody is at a terminal"
    with (folder / "manifests" / "demo.csv").open(encoding="utf-8") as manifest:
        rows = [row["id"] for row in csv.DictReader(manifest)]
    for row_id in rows:
        assert (folder / "demo-archive" / "demo" / row_id / "take-1.mp4").stat().st_size > 0
        assert f"demo-archive/demo/{row_id}/take-1.mp4" in demo.stdout
