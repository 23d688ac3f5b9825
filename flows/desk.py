"""Settings and ledger of a flow run: handed over by the command line, or made here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prefect.runtime import deployment

from reelbatch.config import Settings, read_settings
from reelbatch.errors import Refused
from reelbatch.ledger import Ledger, open_ledger
from reelbatch.run.handover import HANDOVER
from reelbatch.run.request import GenerateRequest


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where a flow run sits down to work."""

    settings: Settings
    ledger: Ledger


@contextmanager
def at_desk(request: GenerateRequest) -> Iterator[Desk]:
    """Raises Refused where the ledger cannot be opened, or would die with this machine."""
    if handover := HANDOVER.get():
        if handover.in_flow:
            handover.in_flow()
        yield Desk(settings=handover.settings, ledger=handover.ledger)
        return
    settings = read_settings(**request.settings_flags())
    if deployment.id or in_container():
        refuse_passing_places(settings)
    ledger = open_ledger(settings.ledger_url)
    try:
        yield Desk(settings=settings, ledger=ledger)
    finally:
        ledger.close()


def in_container() -> bool:
    """A container without a terminal: nobody is there to keep what it leaves behind."""
    inside = Path("/.dockerenv").exists() or "KUBERNETES_SERVICE_HOST" in os.environ
    return inside and not sys.stdin.isatty()


def refuse_passing_places(settings: Settings) -> None:
    """The default ledger and archive would die with a worker's machine; the next run pays again."""
    missing = [
        name
        for name, given in (
            ("REELBATCH_LEDGER", bool(settings.ledger)),
            ("REELBATCH_ARCHIVE", settings.archive != "./archive"),
        )
        if not given
    ]
    if missing:
        raise Refused(
            "A worker's own disk is no place for the record of what was paid.",
            advice=f"Set {' and '.join(missing)} for the worker, for instance "
            "postgresql://user@host/reelbatch and s3://bucket/videos.",
        )
