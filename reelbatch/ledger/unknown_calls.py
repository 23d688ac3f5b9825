"""Calls of fal's about requests that this ledger never sent: noted, for people to look at.

They are signed, so fal ran something and was told to call here: another ledger's run, an older
copy's, or a stranger's, for anybody may name our address. So only ids and the outcome are
kept, and of so many requests only the last heard of.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, exists, select

from reelbatch.ledger.engine import Ledger, now
from reelbatch.ledger.schema import attempts, strays, unknown_calls
from reelbatch.ledger.writing import insert_or

KEPT = 1000
LONGEST_ID = 200


@dataclass(frozen=True, kw_only=True)
class UnknownCall:
    """A request fal has told of, and that neither an attempt nor a stray of ours is."""

    request_id: str
    user_id: str
    """fal's own name for whose request it was."""
    status: str
    times: int
    first_heard_at: datetime
    last_heard_at: datetime


def note_unknown(ledger: Ledger, request_id: str, *, user_id: str, status: str) -> None:
    """Remember the request; told of it again, only when and how often."""
    with ledger.writing() as tx:
        at = now(tx)
        new = insert_or(tx, unknown_calls).values(
            request_id=request_id[:LONGEST_ID],
            user_id=user_id[:LONGEST_ID],
            status=status,
            times=1,
            first_heard_at=at,
            last_heard_at=at,
        )
        again = {"status": status, "times": unknown_calls.c.times + 1, "last_heard_at": at}
        tx.execute(new.on_conflict_do_update(index_elements=["request_id"], set_=again))
        _forget_the_oldest(tx)


def _forget_the_oldest(tx: Connection) -> None:
    call = unknown_calls.c
    newest_first = select(call.request_id).order_by(call.last_heard_at.desc(), call.request_id)
    tx.execute(unknown_calls.delete().where(call.request_id.in_(newest_first.offset(KEPT))))


def calls_nobody_knows(ledger: Ledger) -> list[UnknownCall]:
    """Those that still nobody holds, the last heard first. They belong to no batch."""
    call = unknown_calls.c
    held = exists().where(attempts.c.request_id == call.request_id)
    astray = exists().where(strays.c.request_id == call.request_id)
    query = select(unknown_calls).where(~held, ~astray)
    with ledger.reading() as tx:
        found = tx.execute(query.order_by(call.last_heard_at.desc(), call.request_id)).mappings()
        return [UnknownCall(**row) for row in found]
