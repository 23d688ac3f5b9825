"""One of several processes is gone, or asleep: the others finish its rows."""

from __future__ import annotations

from collections import Counter
from contextlib import closing

import pytest

from tests.acceptance.conftest import World, cats
from tests.parts.book import Book
from tests.parts.freezing import frozen
from tests.parts.waiting import wait_until

ROWS = 8


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_others_finish_the_rows_of_the_dead_and_of_the_suspended(shared: World) -> None:
    """One sleeps, one dies with a POST on the wire; the third makes all of it in the same run.

    It takes their rows over when they are a minute overdue.
    """
    shared.write("cats.csv", cats(ROWS))
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
