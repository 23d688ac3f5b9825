"""The ledger and a batch in it, for commands that only look."""

from __future__ import annotations

from reelbatch.cli.rehearsing import rehearsal_ledger
from reelbatch.config import read_settings
from reelbatch.errors import Refused
from reelbatch.ledger import Ledger, batches, open_ledger_to_read
from reelbatch.ledger.batches import Batch
from reelbatch.urls import without_login


def ledger_to_read(url: str | None, *, emulated: bool = False) -> Ledger:
    """The ledger, or that of the rehearsals. Raises Refused where there is none yet."""
    settings = read_settings(ledger=rehearsal_ledger() if emulated else url)
    opened = open_ledger_to_read(settings.ledger_url)
    if opened is None:
        raise Refused(
            f"There is no ledger at {without_login(settings.ledger_url)}.",
            advice="Nothing was run yet, or REELBATCH_LEDGER names another place.",
        )
    return opened


def batch_named(ledger: Ledger, name: str) -> Batch:
    """Raises Refused for a name the ledger does not know."""
    batch = batches.find_batch(ledger, name)
    if batch is None:
        known = ", ".join(one.name for one in batches.all_batches(ledger)[:5]) or "none yet"
        raise Refused(f"There is no batch named {name!r}.", advice=f"Known: {known}.")
    return batch
