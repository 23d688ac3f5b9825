"""A disk that is full and a ledger that is held: a sentence, nothing lost, nothing made anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from tests.acceptance.conftest import World, cats
from tests.parts.small_disk import MB, filled, mounted, needs_mount
from tests.parts.waiting import wait_until

Trouble = Callable[[Path], AbstractContextManager[None]]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system with room for little."""
    with mounted(tmp_path / "disk", size=16 * MB) as folder:
        yield folder


@needs_mount
def test_an_archive_on_a_full_disk_stops_the_run_and_heals(world: World, small_disk: Path) -> None:
    world.write("cats.csv", cats(6))
    filler = filled(small_disk, leave=64 * 1024)
    archive = f"--archive={small_disk}"
    stopped = world.run("cats.csv", archive, "--max-in-flight=2")
    assert (stopped.code, stopped.json["stopped"]) == (4, "archive"), stopped.text
    assert "No space is left for" in stopped.stderr
    assert "Free some and run again: finished rows are kept" in stopped.stderr
    paid = world.accepted
    assert (stopped.json["failed"], stopped.json["in_doubt"]) == (0, 0)
    assert f"{paid - stopped.json['archived']} still at fal" in stopped.stderr

    filler.unlink()
    done = world.run("cats.csv", archive)
    assert (done.code, done.json["archived"]) == (0, 6), done.text
    assert (world.accepted, world.paid_twice) == (6, 0)
    assert len(list(small_disk.rglob("*.mp4"))) == 6
    assert not list(small_disk.rglob("*.part"))


@contextmanager
def disk_full(ledger: Path) -> Iterator[None]:
    filler = filled(ledger.parent, leave=0)
    yield
    filler.unlink()


@contextmanager
def held(ledger: Path) -> Iterator[None]:
    """Another program writes, and does not come to its end."""
    with closing(sqlite3.connect(ledger, timeout=60, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@needs_mount
def test_a_ledger_on_a_full_disk_stops_the_buying_and_heals(world: World, small_disk: Path) -> None:
    """There is no submission without a place to write it down."""
    broken_off(world, small_disk / "ledger.db", disk_full, "database or disk is full")


@pytest.mark.slow
def test_a_ledger_that_another_program_holds_stops_the_buying_and_heals(
    world: World, tmp_path: Path
) -> None:
    """For longer than we wait for it, which is half a minute."""
    broken_off(world, tmp_path / "own" / "ledger.db", held, "database is locked")


def as_if_later(ledger: Path) -> None:
    """As if a minute had passed: a POST without an answer is in doubt only then."""
    with closing(sqlite3.connect(ledger)) as opened, opened:
        earlier = "strftime('%Y-%m-%d %H:%M:%f', state_at, '-60 seconds') || '000'"
        opened.execute(f"UPDATE jobs SET state_at = {earlier}")


def broken_off(world: World, ledger: Path, trouble: Trouble, sentence: str) -> None:
    world.command.environment["REELBATCH_LEDGER"] = f"sqlite:///{ledger}"
    world.fal.set(service_seconds=1.0)
    world.fal.break_("slow_answer", with_={"seconds": 1.0})
    world.write("cats.csv", cats(12))
    running = world.start("cats.csv", "--max-in-flight=6")
    wait_until(lambda: world.accepted >= 6, description="six are on the wire", timeout_seconds=60)
    with trouble(ledger):
        broken = running.finish(timeout_seconds=170)
        assert broken.code == 1, broken.text
        assert f"The ledger sqlite:///{ledger} cannot be used: {sentence}" in broken.stderr
        assert "run again" in broken.stderr
        assert "Traceback" not in broken.stderr
    paid = world.accepted
    assert paid < 12
    as_if_later(ledger)
    world.fal.mend()
    done = world.run("cats.csv")
    assert (done.code, done.json["archived"], done.json["in_doubt"]) == (0, 12, 0), done.text
    assert (world.accepted, world.paid_twice) == (12, 0)
