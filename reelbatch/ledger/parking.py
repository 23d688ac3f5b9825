"""An account is parked until a time, for a reason; then one claim probes it.

Accepted lifts it; refused again, the time doubles, ten minutes at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, RowMapping, select

from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.schema import accounts
from reelbatch.ledger.writing import change

ParkReason = Literal["throttled", "storm", "unreachable", "locked", "auth"]

FIRST_SECONDS: dict[ParkReason, float] = {
    "throttled": 5.0,
    "storm": 10.0,
    "unreachable": 5.0,
    "locked": 600.0,
    "auth": 600.0,
}
LONGEST_SECONDS = 600.0
STORM = 3
"""Ambiguous outcomes with no acceptance between."""
PROBE_ANSWERS_WITHIN = timedelta(seconds=45)
LOOK_AGAIN = timedelta(seconds=1)
"""Another process may send the probe; nobody tells us of its answer."""


@dataclass(frozen=True, kw_only=True)
class Parked:
    """Why nothing is bought now, since when, and until when."""

    reason: ParkReason
    detail: str
    since: datetime
    until: datetime


def closed_until(account: RowMapping, at: datetime, *, fal_answers: bool) -> datetime | None:
    """When to ask again: the time is not up, or a probe is on its way.

    After a storm fal first has to answer a question that costs nothing: each POST may cost.
    """
    if not account["parked_reason"]:
        return None
    until: datetime = account["parked_until"]
    if until > at:
        return until
    probed = account["probe_at"] and account["probe_at"] + PROBE_ANSWERS_WITHIN > at
    silent = account["parked_reason"] == "storm" and not fal_answers
    return at + LOOK_AGAIN if probed or silent else None


def park(
    tx: Connection,
    account: RowMapping,
    reason: ParkReason,
    detail: str,
    at: datetime,
    *,
    retry_after: float | None = None,
    attempt_id: str | None = None,
) -> None:
    """Park, or park for longer when the probe was refused for the same reason.

    While it is parked, later answers of older POSTs may lengthen that time, never shorten it.
    """
    probe_ended(tx, account, attempt_id)
    again = account["parked_reason"] == reason
    closed = account["parked_reason"] and account["parked_until"] > at
    if closed and again and retry_after is None:
        return
    seconds = retry_after or FIRST_SECONDS[reason]
    if again and retry_after is None:
        seconds = min(LONGEST_SECONDS, 2 * account["parked_seconds"])
    until = at + timedelta(seconds=seconds)
    if closed and until <= account["parked_until"]:
        return
    _change(
        tx,
        account,
        parked_reason=reason,
        parked_detail=detail[:500],
        parked_seconds=seconds,
        parked_until=until,
        parked_since=account["parked_since"] if again else at,
    )


def lift(tx: Connection, account: RowMapping, claimed_at: datetime) -> None:
    """fal took what was claimed at that time: the account buys again.

    A POST from before the trouble says nothing about it.
    """
    if account["ambiguous_in_a_row"]:
        _change(tx, account, ambiguous_in_a_row=0)
    if account["parked_reason"] and claimed_at >= account["parked_since"]:
        _change(
            tx,
            account,
            parked_reason=None,
            parked_detail=None,
            parked_seconds=None,
            parked_until=None,
            parked_since=None,
            probe_attempt_id=None,
            probe_at=None,
        )


def count_ambiguous(
    tx: Connection, account: RowMapping, attempt_id: str, detail: str, at: datetime
) -> None:
    """A storm of ambiguous answers parks, each may have been paid; so does one to a probe."""
    in_a_row = account["ambiguous_in_a_row"] + 1
    _change(tx, account, ambiguous_in_a_row=in_a_row)
    if account["probe_attempt_id"] == attempt_id:
        park(tx, account, account["parked_reason"], detail, at, attempt_id=attempt_id)
    elif in_a_row >= STORM:
        park(tx, account, "storm", detail, at)


def probe_ended(tx: Connection, account: RowMapping, attempt_id: str | None) -> None:
    """The probe is answered, or never left: the next claim may be one."""
    if attempt_id is not None and account["probe_attempt_id"] == attempt_id:
        _change(tx, account, probe_attempt_id=None, probe_at=None)


def _change(tx: Connection, account: RowMapping, **values: object) -> None:
    change(tx, accounts, account["id"], **values)


def parked(ledger: Ledger, account_id: str) -> Parked | None:
    """How the account stands."""
    with ledger.reading() as tx:
        row = tx.execute(select(accounts).where(accounts.c.id == account_id)).mappings().first()
    if row is None or not row["parked_reason"]:
        return None
    return Parked(
        reason=row["parked_reason"],
        detail=row["parked_detail"] or "",
        since=row["parked_since"],
        until=row["parked_until"],
    )


def park_account(ledger: Ledger, account_id: str, reason: ParkReason, detail: str) -> None:
    """Something other than a POST was refused: an upload, say."""
    with ledger.writing() as tx:
        mine = select(accounts).where(accounts.c.id == account_id)
        account = tx.execute(mine.with_for_update(key_share=True)).mappings().one()
        park(tx, account, reason, detail, now(tx))


def probe_now(ledger: Ledger, account_id: str) -> None:
    """A run that starts probes once at once: the user may have topped up."""
    with ledger.writing() as tx:
        tx.execute(
            accounts.update()
            .where(accounts.c.id == account_id, accounts.c.parked_reason.is_not(None))
            .values(parked_until=now(tx), probe_at=None, probe_attempt_id=None)
        )
