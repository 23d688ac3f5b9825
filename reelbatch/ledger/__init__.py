"""The durable record of what was asked, paid and kept; the only place where processes meet.

One behaviour a file: `claims` takes a place for one POST, `answers` writes down what came
of it, `results` settles, `keeping` follows a video into the archive, `parking` stops and
restarts an account, `batches` lets a manifest in, `reading` tells how things stand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reelbatch.errors import Refused
from reelbatch.ledger.engine import Ledger, connect, is_still_to_be_made, shown

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["Ledger", "open_ledger", "open_ledger_to_read"]


def open_ledger(url: str, *, upgrade: bool = False) -> Ledger:
    """Open, and create or upgrade where that is safe. Raises Refused."""
    from reelbatch.ledger.migrate import prepare

    with _opening(url) as engine:
        return Ledger(engine, ledger_id=prepare(engine, upgrade=upgrade))


def open_ledger_to_read(url: str) -> Ledger | None:
    """Open without writing or migrating; None where there is no ledger yet. Raises Refused."""
    from sqlalchemy.exc import OperationalError

    from reelbatch.ledger.migrate import HEAD, ledger_id, version_of

    with _opening(url, read_only=True) as engine:
        try:
            version = version_of(engine)
        except OperationalError:
            if not is_still_to_be_made(engine):
                raise
            version = None
        if version == HEAD:
            return Ledger(engine, ledger_id=ledger_id(engine))
        engine.dispose()
        return None


@contextmanager
def _opening(url: str, *, read_only: bool = False) -> Iterator[Engine]:
    """An engine that is let go when it leads to no ledger, and one sentence why."""
    from sqlalchemy.exc import DBAPIError

    engine = connect(url, read_only=read_only)
    try:
        yield engine
    except DBAPIError as error:
        engine.dispose()
        reason = str(error.orig).strip().splitlines()[0]
        name = shown(engine.url)
        raise Refused(
            f"The ledger {name} cannot be opened: {reason}.",
            advice="Check that it is reachable and writable, or set REELBATCH_LEDGER.",
        ) from error
    except Refused:
        engine.dispose()
        raise
