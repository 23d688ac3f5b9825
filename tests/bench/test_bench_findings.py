"""What was kept is held against what fal made: every way to spoil it is seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.books import states_of
from bench.findings import Findings
from bench.ordeal import Door
from bench.rows import prompts, write_manifest
from reelbatch.ledger import open_ledger
from tests.parts.command import Command
from tests.parts.emulator import StartEmulator


def without_video(row: Path) -> None:
    (row / "take-1.mp4").unlink()


def with_a_wrong_byte(row: Path) -> None:
    video = row / "take-1.mp4"
    content = bytearray(video.read_bytes())
    content[-1] ^= 0xFF
    video.chmod(0o600)
    video.write_bytes(content)


def without_sidecar(row: Path) -> None:
    (row / "take-1.json").unlink()


def with_anothers_story(row: Path) -> None:
    other = row.with_name("row-5")
    for name in ("take-1.mp4", "take-1.json"):
        (row / name).unlink()
        (row / name).write_bytes((other / name).read_bytes())


def without_a_line(row: Path) -> None:
    index = row.parent / "index.csv"
    lines = index.read_text("utf-8-sig").splitlines(keepends=True)
    index.write_text("".join(line for line in lines if not line.startswith("row-6,")))


SPOILED: dict[str, Callable[[Path], None]] = {
    "row-1": without_video,
    "row-2": with_a_wrong_byte,
    "row-3": without_sidecar,
    "row-4": with_anothers_story,
    "row-6": without_a_line,
}


def test_whatever_is_spoiled_is_seen(run_cli: Command, start_emulator: StartEmulator) -> None:
    fal = start_emulator(options=["--media=tiny"])
    manifest = write_manifest(run_cli.folder, 6)
    done = run_cli("run", manifest, "--yes", environment=fal.environment)
    assert done.code == 0, done.text
    ledger = open_ledger(run_cli.ledger)
    states = states_of(ledger)
    ledger.close()

    def found() -> Findings:
        return Findings.of(run_cli.folder, fal.submissions(), states, Door(fal.running))

    by_row = prompts(manifest)
    assert not found().damaged
    assert found().archived == set(by_row.values())
    for row_id, spoil in SPOILED.items():
        spoil(run_cli.folder / "archive" / "storm" / row_id)
    assert set(found().damaged) == {by_row[row_id] for row_id in SPOILED}
