"""What is left behind: found over all batches of an account, and only when nobody moved it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from reelbatch.jobs import State
from reelbatch.ledger import Ledger
from reelbatch.ledger.answers import accepted, doubted
from reelbatch.ledger.doubts import absent
from reelbatch.ledger.overdue import NO_HOPE_AFTER, batches_to_sweep, jobs_to_sweep
from reelbatch.ledger.results import settle_failed, settle_good
from reelbatch.ledger.schema import attempts
from tests.contracts.ledger_parts import (
    ACCOUNT,
    CRASHED,
    PRICE,
    age,
    archived,
    batch_named,
    claimed,
    good,
    handle,
    pending,
    put,
    put_job,
    submitted,
)

TEN_MINUTES = timedelta(minutes=10)
LONG_AGO = 11 * 60


def left(ledger: Ledger, *, name: str = "cats", since: timedelta = TEN_MINUTES) -> dict[str, State]:
    found = jobs_to_sweep(ledger, batch_named(ledger, name).id, since)
    assert bool(found) == (name in batches_to_sweep(ledger, ACCOUNT, since))
    return {job_id: state for job_id, _, state in found}


@pytest.mark.parametrize("state", [State.SUBMITTED, State.COMPLETED])
def test_what_stands_still_at_fal_or_before_the_archive_is_left_behind(
    ledger: Ledger, state: State
) -> None:
    one, other = pending(ledger, 2)
    for job_id in (one, other):
        attempt_id = submitted(ledger, job_id)
        if state is State.COMPLETED:
            settle_good(ledger, attempt_id, good(job_id), PRICE)
    age(ledger, one, LONG_AGO)
    assert left(ledger) == {one: state}
    assert left(ledger, since=timedelta(0)) == {one: state, other: state}


def test_a_post_is_left_behind_once_it_may_be_given_up(ledger: Ledger) -> None:
    one, other = pending(ledger, 2)
    for job_id in (one, other):
        claimed(ledger, job_id)
    age(ledger, one, 46)
    assert left(ledger) == {one: State.SUBMITTING}


def test_a_doubt_is_looked_at_until_a_day_after_its_deadline(ledger: Ledger) -> None:
    one, other = pending(ledger, 2)
    for job_id in (one, other):
        doubted(ledger, claimed(ledger, job_id).attempt_id, "no answer")
    long_ago = datetime.now(UTC) - NO_HOPE_AFTER - timedelta(minutes=1)
    put(ledger, attempts, attempts.c.id == f"{other}-1", deadline_at=long_ago)
    assert left(ledger) == {one: State.IN_DOUBT}


def test_a_job_whose_straggler_may_serve_it_is_looked_at(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    first = claimed(ledger, job_id).attempt_id
    doubted(ledger, first, "no answer")
    absent(ledger, first)
    second = submitted(ledger, job_id)
    settle_failed(ledger, second, CRASHED, ending="permanent", charge="none", price=PRICE)
    assert left(ledger) == {}
    accepted(ledger, first, handle("r-late"))
    assert left(ledger) == {job_id: State.FAILED}
    settle_good(ledger, first, good("late"), PRICE)
    assert left(ledger) == {}


def test_what_waits_or_has_ended_is_not_left_behind(ledger: Ledger) -> None:
    kept, waiting = pending(ledger, 2)
    archived(ledger, kept)
    for job_id in (kept, waiting):
        age(ledger, job_id, LONG_AGO)
    assert left(ledger) == {}


def test_a_withdrawn_row_is_brought_home_too(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    submitted(ledger, job_id)
    age(ledger, job_id, LONG_AGO)
    put_job(ledger, job_id, withdrawn=True)
    assert left(ledger) == {job_id: State.SUBMITTED}


def test_every_batch_of_the_account_is_looked_at_and_no_other_accounts(ledger: Ledger) -> None:
    for name in ("cats", "dogs", "owls"):
        submitted(ledger, pending(ledger, name=name)[0])
    zero = timedelta(0)
    assert batches_to_sweep(ledger, ACCOUNT, zero) == ["cats", "dogs", "owls"]
    assert batches_to_sweep(ledger, "another account", zero) == []


def test_finding_nothing_costs_one_query(ledger: Ledger) -> None:
    archived(ledger, pending(ledger)[0])
    asked: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        asked.append(statement)

    event.listen(ledger.engine, "before_cursor_execute", note)
    assert batches_to_sweep(ledger, ACCOUNT, TEN_MINUTES) == []
    event.remove(ledger.engine, "before_cursor_execute", note)
    assert len([one for one in asked if "FROM batches" in one]) == 1
    assert len([one for one in asked if "FROM" in one]) == 1
