"""Several processes on one batch: one window, one pace, one budget, and each video paid once."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from itertools import pairwise

import pytest

from tests.acceptance.conftest import World, cats
from tests.parts.book import Book
from tests.parts.command import Finished
from tests.parts.waiting import wait_until

pytestmark = pytest.mark.slow

ROWS = 8


def at_once(world: World, count: int, *arguments: str) -> list[Finished]:
    """As many processes with the same words, started at the same time."""
    running = [world.start("cats.csv", *arguments) for _ in range(count)]
    return [one.finish() for one in running]


@pytest.mark.parametrize("count", [2, 4])
def test_processes_that_start_together_make_each_video_once(shared: World, count: int) -> None:
    """On a ledger that does not exist yet; with windows of their own they would fill 8 slots."""
    shared.write("cats.csv", cats(ROWS))
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


MANY = 300


def test_a_small_batch_beside_a_large_one_gets_its_share_at_once(shared: World) -> None:
    """It asks while the large one has every place; then it need not wait for the large one's end.

    Once it is done the large one has every place again.
    """
    shared.write("large.csv", cats(MANY))
    shared.write("small.csv", cats(ROWS).replace("A cat", "An urgent cat"))
    shared.fal.set(concurrency=0, service_seconds=0.5)
    large = shared.start("large.csv", "--max-in-flight=4")
    with closing(Book(shared.ledger_url)) as book:
        stand(book, "large", submitted=4, pending=MANY - 4)
        small = shared.start("small.csv", "--max-in-flight=4")
        wait_until(lambda: book.has_asked("small"), description="it asks", timeout_seconds=60)
        shared.fal.set(concurrency=8)
        stand(book, "small", archived=ROWS)
        still_waiting = book.states_of("large")["pending"]
        shared.fal.set(concurrency=0)
        wait_until(
            lambda: book.states_of("large")["submitted"] == 4,
            description="the large one has every place again",
            timeout_seconds=60,
        )
    done = small.finish()
    large.interrupt()
    assert (done.code, done.json["archived"]) == (0, ROWS), done.text
    assert large.finish().code == 4
    assert still_waiting > MANY / 2
    assert shared.paid_twice == 0


def stand(book: Book, batch: str, **states: int) -> None:
    wait_until(
        lambda: book.states_of(batch) == Counter(states),
        description=f"{batch} stands at {states}",
        timeout_seconds=90,
    )
