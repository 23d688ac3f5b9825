"""The ledger's side of a storm: where each row stands, and whether the money is booked right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import RowMapping, func, select

from bench.counting import Submission, is_good
from reelbatch.jobs import State
from reelbatch.ledger import Ledger
from reelbatch.ledger.schema import accounts, attempts, batches, jobs

NOTHING = Decimal("0.00")


def states_of(ledger: Ledger) -> dict[str, State]:
    """By row id; a row of a storm has one job."""
    with ledger.reading() as tx:
        return {row: State(state) for row, state in tx.execute(select(jobs.c.row_id, jobs.c.state))}


def last_deadline(ledger: Ledger) -> datetime:
    """Until when the doubts that are left may still show themselves in fal's list."""
    query = (
        select(func.max(attempts.c.deadline_at))
        .join(jobs, jobs.c.attempt_id == attempts.c.id)
        .where(jobs.c.state == State.IN_DOUBT)
    )
    with ledger.reading() as tx:
        return tx.execute(query).scalar() or datetime.min.replace(tzinfo=UTC)


def wrongs(ledger: Ledger, submissions: Sequence[Submission]) -> Iterator[str]:
    """What is booked wrong, each in a sentence."""
    with ledger.reading() as tx:
        booked = tx.execute(select(attempts)).mappings().all()
        totals = [*tx.execute(select(accounts)).mappings(), *tx.execute(select(batches)).mappings()]
    good = {one["request_id"] for one in submissions if is_good(one)}
    for attempt in booked:
        yield from _wrong_attempt(attempt, good)
    yield from _wrong_totals(totals, booked)


def _wrong_attempt(attempt: RowMapping, good: set[str]) -> Iterator[str]:
    request_id, basis = attempt["request_id"], attempt["cost_basis"]
    if (request_id in good) != (basis in ("priced", "billed")):
        word = "good" if request_id in good else "not good"
        yield f"request {request_id} is {word}, and booked as {basis}"


def _wrong_totals(
    totals: Sequence[Mapping[str, Any]], booked: Sequence[RowMapping]
) -> Iterator[str]:
    spent = sum((one["cost_usd"] or NOTHING for one in booked), NOTHING)
    reserved = sum((one["reserved_usd"] for one in booked), NOTHING)
    for total in totals:
        if (total["spent_usd"], total["reserved_usd"]) != (spent, reserved):
            says = f"{total['spent_usd']} spent, {total['reserved_usd']} reserved"
            yield f"{total['id']} says {says}; its attempts say {spent} spent, {reserved} reserved"
