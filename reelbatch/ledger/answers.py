"""What came of a POST: accepted, not sent, rejected, or in doubt.

A late answer still moves the job on; each move is a compare-and-set, so whoever comes
second sees that and changes nothing.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import Connection, Update, bindparam, select

from reelbatch.jobs import State
from reelbatch.ledger import bills, parking
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.posts import Post, lock_post
from reelbatch.ledger.schema import attempts, jobs
from reelbatch.ledger.writing import change, job_in

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
        post = lock_post(tx, attempt_id)
        if post.request_id is not None:
            return post.request_id == answer.request_id
        if belongs_to_another(tx, answer.request_id):
            return False
        handle = {name: getattr(answer, name) for name in Accepted.__dataclass_fields__}
        if post.is_settled:
            _write(tx, post, **handle)
            return True
        _write(tx, post, outcome="accepted", answered_at=post.at, **handle)
        parking.lift(tx, post.account, post.claimed_at)
        waiting = {State.SUBMITTING, State.IN_DOUBT, State.PENDING}
        move(tx, post.job_id, waiting, State.SUBMITTED, post.at, attempt_id=attempt_id)
        bills.reserve_again(tx, post)
        return True


def belongs_to_another(tx: Connection, request_id: str) -> bool:
    return tx.execute(_HOLDER, {"request_id": request_id}).first() is not None


_HOLDER = select(attempts.c.id).where(attempts.c.request_id == bindparam("request_id"))


def not_sent(ledger: Ledger, attempt_id: str, reason: str, *, park: bool) -> None:
    """Nothing left this machine: the money is free and the job waits again."""
    with ledger.writing() as tx:
        post = lock_post(tx, attempt_id)
        if not post.is_unanswered:
            return
        _answered(tx, post, "not_sent", Why(error_type="not_sent", message=reason))
        bills.release(tx, post)
        if park:
            parking.park(tx, post.account, "unreachable", reason, post.at, attempt_id=attempt_id)
        else:
            parking.probe_ended(tx, post.account, attempt_id)
        _wait_again(tx, post)


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
        post = lock_post(tx, attempt_id)
        if not post.is_unanswered:
            return
        _answered(tx, post, "rejected", why)
        bills.release(tx, post)
        if park:
            parking.park(
                tx,
                post.account,
                park,
                why.message,
                post.at,
                retry_after=retry_after,
                attempt_id=attempt_id,
            )
            _wait_again(tx, post)
        else:
            parking.lift(tx, post.account, post.claimed_at)
            _fail(tx, post, why)


def doubted(ledger: Ledger, attempt_id: str, reason: str) -> None:
    """fal may have accepted: the money stays reserved, and nothing is sent again blindly."""
    with ledger.writing() as tx:
        post = lock_post(tx, attempt_id)
        if _doubt(tx, post, reason):
            parking.count_ambiguous(tx, post.account, attempt_id, reason, post.at)


def doubt_the_late(ledger: Ledger, account_id: str) -> int:
    """Whoever sees a POST without an answer for 45 s makes it IN_DOUBT. Returns how many."""
    with ledger.reading() as tx:
        at = now(tx)
        late = (
            tx.execute(
                select(jobs.c.attempt_id).where(
                    jobs.c.account_id == account_id,
                    jobs.c.state == State.SUBMITTING,
                    jobs.c.state_at < at - LATE,
                )
            )
            .scalars()
            .all()
        )
    return sum(_doubt_if_late(ledger, attempt_id) for attempt_id in late)


def _doubt_if_late(ledger: Ledger, attempt_id: str) -> bool:
    with ledger.writing() as tx:
        post = lock_post(tx, attempt_id)
        is_late = post.state_at < post.at - LATE
        return is_late and _doubt(tx, post, "no answer was written down: its process died")


def _doubt(tx: Connection, post: Post, reason: str) -> bool:
    doubt = Why(error_type="in_doubt", message=reason)
    submitting = {State.SUBMITTING}
    if move(tx, post.job_id, submitting, State.IN_DOUBT, post.at, attempt_id=post.attempt_id):
        _answered(tx, post, "in_doubt", doubt)
        return True
    return False


def _wait_again(tx: Connection, post: Post) -> None:
    """Back to PENDING; nobody wants a withdrawn job, which waits only for its row to return."""
    to = State.CANCELLED if post.withdrawn else State.PENDING
    on_the_wire = {State.SUBMITTING, State.IN_DOUBT}
    move(tx, post.job_id, on_the_wire, to, post.at, attempt_id=post.attempt_id)


def _fail(tx: Connection, post: Post, why: Why) -> None:
    move(
        tx,
        post.job_id,
        {State.SUBMITTING, State.IN_DOUBT},
        State.FAILED,
        post.at,
        attempt_id=post.attempt_id,
        error_type=why.error_type,
        error_message=why.message,
    )


def move(
    tx: Connection,
    job_id: str,
    from_states: Set[State],
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
    values |= {"this_id": job_id, "state": to, "state_at": at}
    from_here = frozenset(from_states)
    if attempt_id is None:
        done = tx.execute(job_in(from_here), values)
    else:
        done = tx.execute(_job_of_attempt_in(from_here), values | {"newest": attempt_id})
    return bool(done.rowcount == 1)


@cache
def _job_of_attempt_in(states: frozenset[State]) -> Update:
    return job_in(states).where(jobs.c.attempt_id == bindparam("newest"))


def _answered(tx: Connection, post: Post, outcome: str, why: Why) -> None:
    _write(
        tx,
        post,
        outcome=outcome,
        answered_at=post.at,
        http_status=why.http_status,
        error_type=why.error_type,
        error_message=why.message,
    )


def _write(tx: Connection, post: Post, **values: object) -> None:
    change(tx, attempts, post.attempt_id, **values)
