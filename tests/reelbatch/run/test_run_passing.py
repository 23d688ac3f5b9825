"""Where a machine may be gone tomorrow, the record of payment lives elsewhere."""

from __future__ import annotations

import pytest

from reelbatch.config import Settings
from reelbatch.errors import Refused
from reelbatch.run.passing import refuse_passing_places


def test_the_default_places_are_refused_with_the_variables_to_set() -> None:
    with pytest.raises(Refused, match=r"REELBATCH_LEDGER and REELBATCH_ARCHIVE"):
        refuse_passing_places(Settings(ledger="", archive="./archive"))


def test_a_ledger_that_lasts_still_needs_an_archive_that_does() -> None:
    with pytest.raises(Refused, match=r"Set REELBATCH_ARCHIVE, for instance s3://"):
        refuse_passing_places(Settings(ledger="postgresql://host/reels", archive="./archive"))


def test_named_places_are_the_users_own_choice() -> None:
    refuse_passing_places(Settings(ledger="sqlite:////data/reels.db", archive="/data/reels"))
