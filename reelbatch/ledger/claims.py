"""The claim: place, money and attempt for one POST, taken in one transaction.

The account's row is locked first. Without that lock 50 workers took 272 places of 80.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from sqlalchemy import Connection, RowMapping, bindparam, exists, func, select

from reelbatch.jobs import HELD, Arguments, State
from reelbatch.ledger import bills, parking, slots
from reelbatch.ledger.batches import MARKED
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.posts import lock_account_of_job
from reelbatch.ledger.schema import IN_FLIGHT_SQL, attempts, batches, in_state, jobs
from reelbatch.ledger.writing import add, change

POST_BEGINS_WITHIN = timedelta(seconds=10)
"""A POST is not begun when its attempt is older: suspended laptops wake up."""
ASKING = timedelta(minutes=1)
ASK_AGAIN = timedelta(seconds=10)

WaitReason = Literal["window", "pace", "parked", "later", "twin", "share"]
StopReason = Literal["budget", "paused", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a claim must respect, besides what the ledger knows."""

    window: int | None
    """Unless a person has set another one for the account. None: what the account's slots want."""
    pace_per_second: float | None
    price: Decimal
    budget: Decimal | None
    budget_per_day: Decimal | None
    start_timeout: timedelta
    grace: timedelta
    fal_answers: bool
    """Whether fal has just answered a question that costs nothing."""


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """The right to send one POST, within ten seconds."""

    attempt_id: str
    token: str
    n: int
    claimed_at: datetime
    probes: bool = False
    """Whether its answer decides if others may follow, for the account is parked."""
    asked_at: float | None = None
    """Our own clock just before: the database's may be another."""


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Not now. `until` is when to ask again, if the ledger can tell; `job_id` is the twin's."""

    reason: WaitReason
    until: datetime | None = None
    detail: str | None = None
    job_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Moved:
    """The job is not PENDING any more: somebody else drives it."""


@dataclass(frozen=True, kw_only=True)
class Reused:
    """The same request is archived already; the job is served from there, for nothing."""

    source_id: str


@dataclass(frozen=True, kw_only=True)
class Stop:
    """No more claims in this run."""

    reason: StopReason


Claim = Claimed | Wait | Moved | Reused | Stop


def claim(ledger: Ledger, job_id: str, body: Arguments, terms: Terms) -> Claim:
    """Take a place, money and an attempt for this job, or say what is in the way.

    Raises Transient when the ledger cannot be written: then nothing may be sent.
    """
    with ledger.writing() as tx:
        account = lock_account_of_job(tx, job_id)
        job = tx.execute(_WANTED, {"job_id": job_id}).mappings().one()
        at = now(tx)
        refusal = (
            _not_claimable(job, at)
            or _marked(job)
            or _served(tx, job, at)
            or _parked(account, terms, at)
            or _too_soon(account, at)
            or _no_place(tx, job, _window(account, terms, at), at)
            or _over_budget(account, job, terms, at)
        )
        return refusal or _take(tx, account, job, body, terms, at)


_WANTED = (
    select(
        jobs.c.id,
        jobs.c.batch_id,
        jobs.c.account_id,
        jobs.c.state,
        jobs.c.withdrawn,
        jobs.c.not_before,
        jobs.c.attempts,
        jobs.c.fingerprint,
        batches.c.mark,
        batches.c.reserved_usd,
        batches.c.spent_usd,
    )
    .join(batches, batches.c.id == jobs.c.batch_id)
    .where(jobs.c.id == bindparam("job_id"))
)


def _not_claimable(job: RowMapping, at: datetime) -> Claim | None:
    """Read after the lock: another claim may have won it while we waited."""
    if job["state"] != State.PENDING or job["withdrawn"]:
        return Moved()
    if job["not_before"] and job["not_before"] > at:
        return Wait(reason="later", until=job["not_before"])
    return None


def _marked(job: RowMapping) -> Stop | None:
    return Stop(reason=MARKED[job["mark"]]) if job["mark"] else None


def _served(tx: Connection, job: RowMapping, at: datetime) -> Claim | None:
    """The same request archived: reuse it. In flight: wait for it.

    One question, not two: between them a twin could have moved from flight into the archive.
    """
    asked = {"fingerprint": job["fingerprint"], "job_id": job["id"]}
    if tx.dialect.name == "postgresql":
        tx.execute(_ONE_AT_A_TIME, asked)
    same = tx.execute(_SAME_REQUEST, asked).first()
    if same is None:
        return None
    if same.state != State.ARCHIVED:
        return Wait(reason="twin", job_id=same.id)
    _reuse(tx, job["id"], same.id, at)
    return Reused(source_id=same.id)


_ONE_AT_A_TIME = select(func.pg_advisory_xact_lock(func.hashtext(bindparam("fingerprint"))))
"""Twins may belong to two accounts, whose locks know nothing of each other."""

_SAME_REQUEST = (
    select(jobs.c.id, jobs.c.state)
    .where(
        jobs.c.fingerprint == bindparam("fingerprint"),
        jobs.c.id != bindparam("job_id"),
        in_state(HELD | {State.ARCHIVED}),
        func.coalesce(jobs.c.review, "") != "rejected",
    )
    .order_by(jobs.c.state != State.ARCHIVED)
    .limit(1)
)


def _reuse(tx: Connection, job_id: str, source_id: str, at: datetime) -> None:
    tx.execute(
        jobs.update()
        .where(jobs.c.id == job_id)
        .values(
            state=State.COMPLETED,
            state_at=at,
            completed_at=at,
            reused_from=source_id,
            cost_usd=func.coalesce(jobs.c.cost_usd, Decimal(0)),
            cost_basis="reused",
        )
    )


def _parked(account: RowMapping, terms: Terms, at: datetime) -> Wait | None:
    until = parking.closed_until(account, at, fal_answers=terms.fal_answers)
    return Wait(reason="parked", until=until, detail=account["parked_reason"]) if until else None


def _too_soon(account: RowMapping, at: datetime) -> Wait | None:
    due = account["next_submit_at"]
    return Wait(reason="pace", until=due) if due and due > at else None


def _window(account: RowMapping, terms: Terms, at: datetime) -> int:
    return account["window"] or terms.window or slots.window_of(account, at)


def _no_place(tx: Connection, job: RowMapping, window: int, at: datetime) -> Wait | None:
    """In flight is counted, never kept: a counter can drift, an index cannot."""
    mine = {"account_id": job["account_id"]}
    in_flight = dict(tx.execute(_IN_FLIGHT, mine).tuples().all())
    free = window - sum(in_flight.values())
    if free <= 0:
        _ask(tx, job["batch_id"], at)
        return Wait(reason="window")
    if free <= _kept_for_others(tx, job, window, in_flight, at):
        _ask(tx, job["batch_id"], at)
        return Wait(reason="share")
    return None


_IN_FLIGHT = (
    select(jobs.c.batch_id, func.count())
    .where(jobs.c.account_id == bindparam("account_id"), IN_FLIGHT_SQL)
    .group_by(jobs.c.batch_id)
)


def _kept_for_others(
    tx: Connection, job: RowMapping, window: int, in_flight: dict[str, int], at: datetime
) -> int:
    """Each batch that asked within a minute may have its even share of the window."""
    about = {
        "account_id": job["account_id"],
        "batch_id": job["batch_id"],
        "lately": at - ASKING,
    }
    asking = tx.execute(_ASKING, about).scalars().all()
    share = window // (len(asking) + 1)
    if in_flight.get(job["batch_id"], 0) < share:
        return 0
    return sum(max(0, share - in_flight.get(other, 0)) for other in asking)


_ASKING = select(batches.c.id).where(
    batches.c.account_id == bindparam("account_id"),
    batches.c.id != bindparam("batch_id"),
    batches.c.asked_at > bindparam("lately"),
    batches.c.mark.is_(None),
    exists().where(
        jobs.c.batch_id == batches.c.id,
        jobs.c.state == State.PENDING,
        jobs.c.withdrawn.is_(False),
    ),
)


def _ask(tx: Connection, batch_id: str, at: datetime) -> None:
    tx.execute(
        batches.update()
        .where(
            batches.c.id == batch_id,
            func.coalesce(batches.c.asked_at, at - ASKING) < at - ASK_AGAIN,
        )
        .values(asked_at=at)
    )


def _over_budget(account: RowMapping, job: RowMapping, terms: Terms, at: datetime) -> Stop | None:
    held = job["reserved_usd"] + job["spent_usd"]
    if terms.budget is not None and held + terms.price > terms.budget:
        return Stop(reason="budget")
    today = account["day_usd"] if account["day"] == bills.day_of(at) else Decimal(0)
    if terms.budget_per_day is not None and today + terms.price > terms.budget_per_day:
        return Stop(reason="budget")
    return None


def _take(
    tx: Connection,
    account: RowMapping,
    job: RowMapping,
    body: Arguments,
    terms: Terms,
    at: datetime,
) -> Claimed:
    n = job["attempts"] + 1
    taken = Claimed(
        attempt_id=f"{job['id']}-{n}",
        token=secrets.token_urlsafe(16),
        n=n,
        claimed_at=at,
        probes=bool(account["parked_reason"]),
    )
    add(
        tx,
        attempts,
        id=taken.attempt_id,
        job_id=job["id"],
        n=n,
        token=taken.token,
        body=dict(body),
        claimed_at=at,
        reserved_usd=terms.price,
        deadline_at=at + POST_BEGINS_WITHIN + terms.start_timeout + terms.grace,
    )
    change(
        tx,
        jobs,
        job["id"],
        state=State.SUBMITTING,
        state_at=at,
        attempts=n,
        attempt_id=taken.attempt_id,
        not_before=None,
        error_type=None,
        error_message=None,
    )
    bills.reserve(
        tx,
        account,
        job["batch_id"],
        job["id"],
        taken.attempt_id,
        terms.price,
        at,
        **_next_place(account, taken, terms, at),
    )
    return taken


def _next_place(
    account: RowMapping, taken: Claimed, terms: Terms, at: datetime
) -> dict[str, object]:
    """The next place in the pace, and the probe of a parked account."""
    values: dict[str, object] = {}
    if terms.pace_per_second:
        values["next_submit_at"] = at + timedelta(seconds=1 / terms.pace_per_second)
    if taken.probes:
        values |= {"probe_attempt_id": taken.attempt_id, "probe_at": at}
    return values
