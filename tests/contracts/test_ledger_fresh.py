"""`--fresh`: every take anew, once for each wish, and carried on when it was interrupted."""

from __future__ import annotations

from sqlalchemy import select

from reelbatch.jobs import State
from reelbatch.ledger import Ledger
from reelbatch.ledger.batches import Batch
from reelbatch.ledger.schema import batches
from tests.contracts.ledger_parts import (
    archive_all,
    archived,
    batch_named,
    entered,
    jobs_of,
    only,
    put_job,
    row,
    rows,
    told,
    wanted,
)


def _roll(ledger: Ledger, batch: Batch) -> int:
    with ledger.reading() as tx:
        roll: int = tx.execute(select(batches.c.roll).where(batches.c.id == batch.id)).scalar_one()
    return roll


def test_fresh_makes_every_take_anew_with_another_seed(ledger: Ledger) -> None:
    """The old videos are withdrawn, and no new fingerprint meets an old one."""
    batch = batch_named(ledger)
    entered(ledger, batch, rows(2))
    archive_all(ledger, batch)
    found = entered(ledger, batch, rows(2), fresh_key="run-1")
    assert (told(found), found.reused) == ((0, 2, 0, 0, 0), 0)
    assert wanted(ledger, batch) == [("row-1", 1, 2), ("row-2", 1, 2)]
    fresh = [one for one in jobs_of(ledger, batch) if not one["withdrawn"]]
    assert {one["roll"] for one in fresh} == {1}
    assert all(one["arguments"]["seed"] != 7 for one in fresh)
    assert _roll(ledger, batch) == 1


def test_an_interrupted_fresh_is_carried_on(ledger: Ledger) -> None:
    """Another run with --fresh makes what is missing, not all of it once more."""
    batch = batch_named(ledger)
    entered(ledger, batch, rows(2))
    archive_all(ledger, batch)
    entered(ledger, batch, rows(2), fresh_key="run-1")
    fresh = [one["id"] for one in jobs_of(ledger, batch) if not one["withdrawn"]]
    archived(ledger, fresh[0])
    assert told(entered(ledger, batch, rows(2), fresh_key="run-2")) == (0, 0, 2, 0, 0)
    archived(ledger, fresh[1])
    assert told(entered(ledger, batch, rows(2), fresh_key="run-3")) == (0, 2, 0, 0, 0)
    assert _roll(ledger, batch) == 2


def test_fresh_on_a_batch_that_never_finished_carries_it_on(ledger: Ledger) -> None:
    batch = batch_named(ledger)
    entered(ledger, batch, rows(2))
    assert told(entered(ledger, batch, rows(2), fresh_key="run-1")) == (0, 0, 2, 0, 0)
    assert _roll(ledger, batch) == 0


def test_one_run_never_rolls_twice(ledger: Ledger) -> None:
    """Prefect may start the same flow run again."""
    batch = batch_named(ledger)
    entered(ledger, batch, rows(2))
    archive_all(ledger, batch)
    entered(ledger, batch, rows(2), fresh_key="run-1")
    archive_all(ledger, batch)
    assert told(entered(ledger, batch, rows(2), fresh_key="run-1")) == (0, 0, 2, 0, 0)
    assert _roll(ledger, batch) == 1


def test_a_first_run_with_fresh_is_a_first_run(ledger: Ledger) -> None:
    """Nothing is there to be made anew: the user's own seeds hold, and so does the key."""
    batch = batch_named(ledger)
    entered(ledger, batch, rows(1), fresh_key="run-1")
    assert only(ledger, batch)["arguments"]["seed"] == 7
    archive_all(ledger, batch)
    assert told(entered(ledger, batch, rows(1), fresh_key="run-1")) == (0, 0, 1, 0, 0)


def test_a_row_that_joins_later_is_made_anew_with_all_the_others(ledger: Ledger) -> None:
    """It came at roll 0 beside rows of roll 1: the next --fresh is still about the whole batch."""
    batch = batch_named(ledger)
    entered(ledger, batch, rows(1))
    archive_all(ledger, batch)
    entered(ledger, batch, rows(1), fresh_key="run-1")
    archive_all(ledger, batch)
    entered(ledger, batch, rows(2))
    archive_all(ledger, batch)
    assert told(entered(ledger, batch, rows(2), fresh_key="run-2")) == (0, 2, 0, 0, 0)
    live = [one for one in jobs_of(ledger, batch) if not one["withdrawn"]]
    assert {one["roll"] for one in live} == {2}


def test_a_new_row_in_a_fresh_run_comes_at_its_roll(ledger: Ledger) -> None:
    batch = batch_named(ledger)
    entered(ledger, batch, rows(1))
    archive_all(ledger, batch)
    assert told(entered(ledger, batch, rows(2), fresh_key="run-1")) == (1, 1, 0, 0, 0)
    live = [one for one in jobs_of(ledger, batch) if not one["withdrawn"]]
    assert {one["roll"] for one in live} == {1}


def test_an_edit_after_a_fresh_keeps_its_roll(ledger: Ledger) -> None:
    """A new tagline keeps the look the user has chosen."""
    batch = batch_named(ledger)
    entered(ledger, batch, [row("a", "A cat.")])
    archive_all(ledger, batch)
    entered(ledger, batch, [row("a", "A cat.")], fresh_key="run-1")
    seed = only(ledger, batch)["arguments"]["seed"]
    entered(ledger, batch, [row("a", "A cat, smiling.")])
    edited = only(ledger, batch)
    assert (edited["roll"], edited["revision"]) == (1, 3)
    assert edited["arguments"]["seed"] == seed
    assert told(entered(ledger, batch, [row("a", "A cat, smiling.")])) == (0, 0, 1, 0, 0)


def test_a_fresh_selection_rolls_what_it_chose(ledger: Ledger) -> None:
    batch = batch_named(ledger)
    entered(ledger, batch, rows(3))
    archive_all(ledger, batch)
    found = entered(ledger, batch, rows(3), selected={"row-2"}, fresh_key="run-1")
    assert told(found) == (0, 1, 2, 0, 0)
    assert wanted(ledger, batch) == [("row-1", 1, 1), ("row-2", 1, 2), ("row-3", 1, 1)]


def test_a_flow_run_that_is_rescheduled_after_another_one_rolls_no_third_time(
    ledger: Ledger,
) -> None:
    """A, B, then A once more: A has had its roll."""
    batch = batch_named(ledger)
    entered(ledger, batch, rows(1))
    archive_all(ledger, batch)
    for key in ("A", "B"):
        entered(ledger, batch, rows(1), fresh_key=key)
        archive_all(ledger, batch)
    assert told(entered(ledger, batch, rows(1), fresh_key="A")) == (0, 0, 1, 0, 0)
    assert _roll(ledger, batch) == 2


def test_fresh_in_a_new_batch_copies_nothing_from_older_ones(ledger: Ledger) -> None:
    """`products-{date}` with `fresh`: each night all of it is made, with seeds of its own."""
    seeds: set[int] = set()
    for night in ("monday", "tuesday", "wednesday"):
        batch = batch_named(ledger, night)
        found = entered(ledger, batch, rows(2), fresh_key=f"run-of-{night}")
        assert (told(found), found.reused) == ((2, 0, 0, 0, 0), 0)
        again = entered(ledger, batch, rows(2), fresh_key=f"run-of-{night}")
        assert told(again) == (0, 0, 2, 0, 0)
        archive_all(ledger, batch)
        seeds |= {one["arguments"]["seed"] for one in jobs_of(ledger, batch)}
    assert len(seeds) == 1 + 2 + 2  # on Monday both rows had the seed that the manifest gives


def test_fresh_in_one_batch_does_not_meet_the_rolls_of_another(ledger: Ledger) -> None:
    first, second = batch_named(ledger, "first"), batch_named(ledger, "second")
    entered(ledger, first, rows(2))
    archive_all(ledger, first)
    entered(ledger, first, rows(2), fresh_key="run-1")
    archive_all(ledger, first)
    entered(ledger, second, rows(2))
    for one in jobs_of(ledger, second):
        put_job(ledger, one["id"], state=State.ARCHIVED)
    found = entered(ledger, second, rows(2), fresh_key="run-2")
    assert (told(found), found.reused) == ((0, 2, 0, 0, 0), 0)
    assert (_roll(ledger, first), _roll(ledger, second)) == (1, 2)


def test_a_first_fresh_run_keeps_the_manifests_own_seeds(ledger: Ledger) -> None:
    """Nothing of it was ever made, so all of it is new already."""
    batch = batch_named(ledger)
    entered(ledger, batch, rows(2), fresh_key="run-1")
    assert {one["arguments"]["seed"] for one in jobs_of(ledger, batch)} == {7}
    assert _roll(ledger, batch) == 0
