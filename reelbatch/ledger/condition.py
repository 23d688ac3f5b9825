"""Whether a run could use the ledger: looked at without making, upgrading or changing it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, false
from sqlalchemy.exc import DBAPIError

from reelbatch.errors import Refused
from reelbatch.ledger import open_ledger_to_read
from reelbatch.ledger.engine import Ledger, connect, now, reason_of
from reelbatch.ledger.migrate import HEAD, PROGRAM
from reelbatch.ledger.schema import ledgers


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A ledger that takes writes."""

    schema: str
    clock_ahead_seconds: float
    """Its clock, by which everybody's parking, pace and deadlines go, before this machine's."""


def condition_of(url: str) -> Condition | None:
    """How it is, once it has taken a write that changes nothing; None where there is none yet.

    Raises Refused and Transient with the reason a run would give.
    """
    opened = open_ledger_to_read(url)
    if opened is None:
        return None
    opened.close()
    ledger = Ledger(connect(url), ledger_id=opened.id)
    try:
        with ledger.writing() as tx:
            tx.execute(ledgers.update().where(false()).values(program=PROGRAM))
            return Condition(schema=HEAD, clock_ahead_seconds=_ahead(tx))
    except DBAPIError as error:
        raise Refused(
            f"The ledger {ledger.url} takes no writes: {reason_of(error)}.",
            advice="Name the primary database, and a user who may write.",
        ) from error
    finally:
        ledger.close()


def _ahead(tx: Connection) -> float:
    """As if it had looked at its clock in the middle of our question."""
    asked = datetime.now(UTC)
    theirs, answered = now(tx), datetime.now(UTC)
    return (theirs - asked).total_seconds() - (answered - asked).total_seconds() / 2
