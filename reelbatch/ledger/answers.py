"""What came of a POST: accepted, not sent, rejected, or in doubt.

A late answer still moves the job on; each move is a compare-and-set, so whoever comes
second sees that and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, select

from reelbatch.jobs import State
from reelbatch.ledger import bills, parking
from reelbatch.ledger.claims import lock_account
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.schema import attempts, jobs

LATE = timedelta(seconds=45)
"""A POST is given up after 30 s; SUBMITTING for longer than this is IN_DOUBT."""


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """fal's handle on the request: its id and the three URLs of the submit response."""

    request_id: str
    status_url: str
    response_url: str
    cancel_url: str


@dataclass(frozen=True, kw_only=True)
class Why:
    """A failure as the ledger keeps it: the type users select by, and fal's own words."""

    error_type: str
    message: str
    http_status: int | None = None


def accepted(ledger: Ledger, attempt_id: str, answer: Accepted) -> bool:
    """fal took the request. False when another request already stands on this attempt."""
    with ledger.writing() as tx:
        job, account, at = attempt_and_account(tx, attempt_id)
        held = select(attempts.c.request_id).where(attempts.c.id == attempt_id)
        known = tx.execute(held).scalar()
        if known is not None:
            return bool(known == answer.request_id)
        _answered(tx, attempt_id, "accepted", at, request_id=answer.request_id,
                  status_url=answer.status_url, response_url=answer.response_url,
                  cancel_url=answer.cancel_url)  # fmt: skip
        parking.lift(tx, account)
        waiting = {State.SUBMITTING, State.IN_DOUBT, State.PENDING}
        move(tx, job["id"], waiting, State.SUBMITTED, at, attempt_id=attempt_id)
        return True


def not_sent(ledger: Ledger, attempt_id: str, reason: str, *, park: bool) -> None:
    """Nothing left this machine: the money is free and the job waits again."""
    with ledger.writing() as tx:
        job, account, at = attempt_and_account(tx, attempt_id)
        _answered(tx, attempt_id, "not_sent", at, error_type="not_sent", error_message=reason)
        bills.release(tx, job, attempt_id, at)
        if park:
            parking.park(tx, account, "unreachable", reason, at)
        move(tx, job["id"], {State.SUBMITTING}, State.PENDING, at, attempt_id=attempt_id)


def rejected(
    ledger: Ledger,
    attempt_id: str,
    why: Why,
    *,
    park: parking.ParkReason | None,
    retry_after: float | None = None,
) -> None:
    """fal said no. An account's trouble leaves the job waiting; its own fails it."""
    with ledger.writing() as tx:
        job, account, at = attempt_and_account(tx, attempt_id)
        _answered(tx, attempt_id, "rejected", at, http_status=why.http_status,
                  error_type=why.error_type, error_message=why.message)  # fmt: skip
        bills.release(tx, job, attempt_id, at)
        if park:
            parking.park(tx, account, park, why.message, at, retry_after=retry_after)
            move(tx, job["id"], {State.SUBMITTING, State.IN_DOUBT}, State.PENDING, at,
                 attempt_id=attempt_id)  # fmt: skip
        else:
            parking.lift(tx, account)
            move(tx, job["id"], {State.SUBMITTING, State.IN_DOUBT}, State.FAILED, at,
                 attempt_id=attempt_id, error_type=why.error_type,
                 error_message=why.message)  # fmt: skip


def doubted(ledger: Ledger, attempt_id: str, reason: str) -> None:
    """fal may have accepted: the money stays reserved, and nothing is sent again blindly."""
    with ledger.writing() as tx:
        job, account, at = attempt_and_account(tx, attempt_id)
        if move(tx, job["id"], {State.SUBMITTING}, State.IN_DOUBT, at, attempt_id=attempt_id):
            _answered(tx, attempt_id, "in_doubt", at, error_type="in_doubt", error_message=reason)
            parking.count_ambiguous(tx, account, reason, at)


def doubt_the_late(ledger: Ledger, account_id: str) -> int:
    """Whoever sees a POST without an answer for 45 s makes it IN_DOUBT. Returns how many."""
    with ledger.reading() as tx:
        at = now(tx)
        late = tx.execute(
            select(jobs.c.attempt_id).where(
                jobs.c.account_id == account_id,
                jobs.c.state == State.SUBMITTING,
                jobs.c.state_at < at - LATE,
            )
        ).scalars().all()  # fmt: skip
    for attempt_id in late:
        _doubt_if_late(ledger, attempt_id)
    return len(late)


def _doubt_if_late(ledger: Ledger, attempt_id: str) -> None:
    with ledger.writing() as tx:
        job, _, at = attempt_and_account(tx, attempt_id)
        if job["state"] != State.SUBMITTING or job["state_at"] >= at - LATE:
            return
        if move(tx, job["id"], {State.SUBMITTING}, State.IN_DOUBT, at, attempt_id=attempt_id):
            _answered(tx, attempt_id, "in_doubt", at, error_type="in_doubt",
                      error_message="no answer was written down: its process died")  # fmt: skip


def move(
    tx: Connection,
    job_id: str,
    from_states: set[State],
    to: State,
    at: datetime,
    *,
    attempt_id: str | None = None,
    **values: object,
) -> bool:
    """Compare-and-set: one of two racers wins, the other gets False and changes nothing.

    With `attempt_id`, only while that attempt is the job's newest: an old answer may not
    move a job that has gone on without it.
    """
    where = [jobs.c.id == job_id, jobs.c.state.in_(from_states)]
    if attempt_id is not None:
        where.append(jobs.c.attempt_id == attempt_id)
    done = tx.execute(jobs.update().where(*where).values(state=to, state_at=at, **values))
    return bool(done.rowcount == 1)


def attempt_and_account(tx: Connection, attempt_id: str) -> tuple[RowMapping, RowMapping, datetime]:
    """The attempt's job, its locked account, and the time."""
    found = select(jobs).join(attempts, attempts.c.job_id == jobs.c.id)
    job = tx.execute(found.where(attempts.c.id == attempt_id)).mappings().one()
    account = lock_account(tx, job["account_id"])
    return job, account, now(tx)


def _answered(
    tx: Connection, attempt_id: str, outcome: str, at: datetime, **values: object
) -> None:
    tx.execute(
        attempts.update()
        .where(attempts.c.id == attempt_id)
        .values(outcome=outcome, answered_at=at, **values)
    )
