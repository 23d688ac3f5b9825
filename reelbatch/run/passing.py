"""Machines that do not last, a worker's or a container's: no record of payment lives there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from reelbatch.config import Settings
from reelbatch.errors import Refused

DEFAULT_ARCHIVE = str(Settings.model_fields["archive"].default)


def in_container() -> bool:
    """A container without a terminal: nobody is there to keep what it leaves behind."""
    inside = Path("/.dockerenv").exists() or "KUBERNETES_SERVICE_HOST" in os.environ
    return inside and not (sys.stdin and sys.stdin.isatty())


def refuse_passing_places(settings: Settings) -> None:
    """The default ledger and archive would die with the machine; the next run would pay again.

    Call it with the settings of the manifest at hand, which may name an archive of its own.
    """
    missing = {}
    if not settings.ledger:
        missing["REELBATCH_LEDGER"] = "postgresql://user@host/reelbatch"
    if settings.archive == DEFAULT_ARCHIVE:
        missing["REELBATCH_ARCHIVE"] = "s3://bucket/videos"
    if missing:
        raise Refused(
            "This machine's own disk is no place for the record of what was paid.",
            advice=f"Set {' and '.join(missing)}, for instance {' and '.join(missing.values())}.",
        )
