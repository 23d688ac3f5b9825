"""Whether a run could use the ledger: looked at without making, upgrading or changing it."""

from __future__ import annotations

from sqlalchemy import false
from sqlalchemy.exc import DBAPIError

from reelbatch.errors import Refused
from reelbatch.ledger import open_ledger_to_read
from reelbatch.ledger.engine import Ledger, connect, reason_of
from reelbatch.ledger.migrate import HEAD, PROGRAM
from reelbatch.ledger.schema import ledgers


def schema_in_use(url: str) -> str | None:
    """Its schema, once it has taken a write that changes nothing; None where there is none yet.

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
    except DBAPIError as error:
        raise Refused(
            f"The ledger {ledger.url} takes no writes: {reason_of(error)}.",
            advice="Name the primary database, and a user who may write.",
        ) from error
    finally:
        ledger.close()
    return HEAD
