"""Several processes on one batch: one window, one pace, one budget, and each video paid once."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from itertools import pairwise

import pytest

from tests.acceptance.conftest import World, cats
from tests.parts.book import Book
from tests.parts.command import Finished
from tests.parts.freezing import frozen
from tests.parts.waiting import wait_until

ROWS = 8


@pytest.fixture
def shared(world: World, new_ledger_url: str) -> World:
    """A world whose ledger nobody has made yet, in a file or in Postgres."""
    world.command.environment["REELBATCH_LEDGER"] = new_ledger_url
    world.write("cats.csv", cats(ROWS))
    return world


def at_once(world: World, count: int, *arguments: str) -> list[Finished]:
    """As many processes with the same words, started at the same time."""
    running = [world.start("cats.csv", *arguments) for _ in range(count)]
    return [one.finish() for one in running]


@pytest.mark.parametrize("count", [2, 4])
def test_processes_that_start_together_make_each_video_once(shared: World, count: int) -> None:
    """On a ledger that does not exist yet; with windows of their own they would fill 8 slots."""
    shared.fal.set(service_seconds=0.5)
    for done in at_once(shared, count, "--max-in-flight=3"):
        assert (done.code, done.json["archived"], done.json["jobs"]) == (0, ROWS, ROWS), done.text
    assert (shared.accepted, shared.paid_twice, len(shared.videos())) == (ROWS, 0, ROWS)
    assert shared.fal.state()["slots"]["max_running"] <= 3


def test_the_pace_is_shared(world: World) -> None:
    """Four a second for all of them: no claim comes sooner after another."""
    world.write("cats.csv", cats(ROWS))
    assert [done.code for done in at_once(world, 3, "--submit-rate=4")] == [0, 0, 0]
    with closing(Book(world.ledger_url)) as book:
        claims = book.claimed_at()
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(claims)]
    assert len(claims) == world.accepted == ROWS
    assert min(gaps) >= 0.25


@pytest.mark.parametrize("limit", ["--budget=1.00", "--budget-per-day=1.00"])
def test_the_budget_is_shared(world: World, limit: str) -> None:
    """Five videos of $0.20; whoever wants a sixth stops, and sees what is in flight through."""
    world.fal.set(service_seconds=1.0)
    world.write("cats.csv", cats(ROWS))
    for done in at_once(world, 2, limit):
        assert (done.code, done.json["stopped"]) == (4, "budget"), done.text
        assert (done.json["archived"], done.json["remaining"]) == (5, 3), done.text
    assert world.accepted == 5


@pytest.mark.timeout(400)
def test_others_finish_the_rows_of_the_dead_and_of_the_suspended(shared: World) -> None:
    """One sleeps, one dies with a POST on the wire; the third makes all of it in the same run.

    It takes their rows over when they are a minute overdue.
    """
    shared.fal.set(concurrency=0)
    asleep = shared.start("cats.csv", "--where=id=cat-1")
    until_accepted(shared, 1)
    with closing(Book(shared.ledger_url)) as book:
        well = shared.start("cats.csv", "--max-in-flight=4")
        until(book, submitted=4, pending=4)
        shared.fal.break_("accept_then_hang", nth=[4])
        dead = shared.start("cats.csv", "--max-in-flight=8")
        until(book, submitted=7, submitting=1)
        dead.kill()
        with frozen(asleep.process):
            shared.fal.set(concurrency=8)
            done = well.finish(timeout_seconds=300)
    assert (done.code, done.json["archived"]) == (0, ROWS), done.text
    assert (shared.accepted, shared.paid_twice, len(shared.videos())) == (ROWS, 0, ROWS)
    awake = asleep.finish()
    assert (awake.code, awake.json["archived"]) == (0, ROWS), awake.text
    assert shared.accepted == ROWS


def until_accepted(world: World, count: int) -> None:
    description = f"fal has accepted {count} submissions"
    wait_until(lambda: world.accepted >= count, description=description, timeout_seconds=60)


def until(book: Book, **states: int) -> None:
    wait_until(
        lambda: book.states() == Counter(states),
        description=f"the jobs stand at {states}",
        timeout_seconds=60,
    )
