"""What a webhook's token finds: the attempt it was made for, whatever we knew of it before."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from sqlalchemy import RowMapping, bindparam, select

from reelbatch.ledger import answers, bills, strays
from reelbatch.ledger.answers import Accepted
from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.schema import accounts, attempts, jobs
from reelbatch.ledger.strays import Stray
from reelbatch.ledger.writing import change
from reelbatch.logs import say

SECOND = timedelta(seconds=1)
"""The account's row is every claim's lock: it is not written at each of many calls."""

log = logging.getLogger("reelbatch.serve")

HandleOf = Callable[[str, str], Accepted]
"""fal's handle on a request, from its endpoint and its id."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """The attempt a call belongs to, as it is now."""

    attempt_id: str
    job_id: str
    endpoint_id: str
    handle: Accepted
    price: Decimal
    outcome: str | None


def heard(ledger: Ledger, token: str, request_id: str, handle_of: HandleOf) -> Heard | None:
    """fal has ended this request. None for a token that is not ours.

    It may come before our submit response, and then this is how we learn the request's id. A
    second request on one token is a stray: the first result wins, and both are booked.
    """
    with ledger.reading() as tx:
        sent = tx.execute(_BY_TOKEN, {"token": token}).mappings().first()
        if sent is None:
            return None
        at = now(tx)
    if sent["last_webhook_at"] is None or at - sent["last_webhook_at"] > SECOND:
        with ledger.writing() as tx:
            change(tx, accounts, sent["account_id"], last_webhook_at=at)
    handle = handle_of(sent["endpoint_id"], request_id)
    if sent["request_id"] is None:
        answers.accepted(ledger, sent["id"], handle)
    return _held(ledger, sent, handle) or _astray(ledger, sent, handle)


_BY_TOKEN = (
    select(attempts, jobs.c.account_id, jobs.c.endpoint_id, accounts.c.last_webhook_at)
    .join(jobs, jobs.c.id == attempts.c.job_id)
    .join(accounts, accounts.c.id == jobs.c.account_id)
    .where(attempts.c.token == bindparam("token"))
)
_BY_REQUEST = select(attempts).where(attempts.c.request_id == bindparam("request_id"))


def _held(ledger: Ledger, sent: RowMapping, handle: Accepted) -> Heard | None:
    with ledger.reading() as tx:
        asked = {"request_id": handle.request_id}
        found = tx.execute(_BY_REQUEST, asked).mappings().first()
        if found is None:
            return None
        price = found["reserved_usd"] or bills.first_reserved(tx, found["id"])
    return Heard(
        attempt_id=found["id"],
        job_id=found["job_id"],
        endpoint_id=sent["endpoint_id"],
        handle=handle,
        price=price,
        outcome=found["outcome"],
    )


def _astray(ledger: Ledger, sent: RowMapping, handle: Accepted) -> Heard | None:
    stray = Stray(
        request_id=handle.request_id,
        job_id=sent["job_id"],
        endpoint_id=sent["endpoint_id"],
        sent_at=sent["claimed_at"],
    )
    price = sent["reserved_usd"] or sent["cost_usd"] or Decimal(0)
    if strays.adopt_beside(ledger, stray, handle, price):
        words = f"job {stray.job_id}: {handle.request_id} is a second request for it, adopted"
        say(log, logging.WARNING, words, job_id=stray.job_id, request_id=handle.request_id)
    return _held(ledger, sent, handle)
