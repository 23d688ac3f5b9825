"""The manifest that goes through the storm; every tenth row has an image to bring along."""

from __future__ import annotations

import csv
from pathlib import Path

from PIL import Image

IMAGES = 7


def write_manifest(folder: Path, jobs: int) -> Path:
    """`storm.csv`; each row has a prompt of its own, and a seed."""
    for n in range(IMAGES):
        Image.new("RGB", (320, 320), (30 * n, 90, 200)).save(folder / f"sky-{n}.png")
    manifest = folder / "storm.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "prompt", "image", "seed"])
        writer.writerows(row(n) for n in range(1, jobs + 1))
    return manifest


def row(n: int) -> list[str | int]:
    image = f"sky-{n // 10 % IMAGES}.png" if n % 10 == 0 else ""
    return [f"row-{n}", f"A lighthouse in storm number {n}", image, n]


def prompts(manifest: Path) -> dict[str, str]:
    """Each row's prompt, by its id."""
    with manifest.open(newline="") as file:
        return {one["id"]: one["prompt"] for one in csv.DictReader(file)}
