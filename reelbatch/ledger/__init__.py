"""The durable record of what was asked, paid and kept; the only place where processes meet.

One behaviour a file: `claims` takes a place for one POST, `answers` writes down what came
of it, `results` settles, `keeping` follows a video into the archive, `parking` stops and
restarts an account, `batches` lets a manifest in, `reading` tells how things stand.
"""

from __future__ import annotations

from reelbatch.errors import Refused
from reelbatch.ledger.engine import Ledger, connect

__all__ = ["Ledger", "open_ledger", "open_ledger_to_read"]


def open_ledger(url: str, *, upgrade: bool = False) -> Ledger:
    """Open, and create or upgrade where that is safe. Raises Refused."""
    from sqlalchemy.exc import DBAPIError

    from reelbatch.ledger.migrate import prepare

    engine = connect(url)
    try:
        return Ledger(engine, ledger_id=prepare(engine, upgrade=upgrade))
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        name = engine.url.render_as_string(hide_password=True)
        raise Refused(
            f"The ledger {name} cannot be opened: {reason}.",
            advice="Check that it is reachable and writable, or set REELBATCH_LEDGER.",
        ) from error


def open_ledger_to_read(url: str) -> Ledger | None:
    """Open without writing or migrating; None where there is no ledger yet. Raises Refused."""
    from sqlalchemy.exc import DBAPIError

    from reelbatch.ledger.migrate import HEAD, ledger_id, version_of

    engine = connect(url, read_only=True)
    try:
        if version_of(engine) != HEAD:
            return None
        return Ledger(engine, ledger_id=ledger_id(engine))
    except DBAPIError:
        return None
