"""Progress in the log: often enough to see that it goes on, and no line a row."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from reelbatch.ledger.reading import Counts
from reelbatch.run import progress as looks
from reelbatch.run.journal import Journal
from reelbatch.run.progress import Progress, ProgressLog
from tests.parts.log import Listening, listening


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    """However slow the machine is, no half minute is over."""
    monkeypatch.setattr(looks, "SECONDS_BETWEEN_LINES", float("inf"))
    with listening() as heard:
        yield heard


def seen(archived: int, *, failed: int = 0, paused: bool = False) -> Progress:
    counts = Counts(
        jobs=500,
        archived=archived,
        failed=failed,
        in_doubt=0,
        cancelled=0,
        in_flight=8,
        pending=492 - archived - failed,
        completed=0,
        reused=0,
        spent_usd=Decimal("0.20") * archived,
        reserved_usd=Decimal("1.60"),
    )
    return Progress(
        counts=counts,
        elapsed_seconds=60,
        eta_seconds=None,
        reserved_usd=counts.reserved_usd,
        paused=paused,
    )


def said(heard: Listening) -> list[str]:
    return [line["message"].partition(" in flight")[0] for line in heard.lines]


def test_a_line_at_the_start_and_one_every_hundred_rows(heard: Listening) -> None:
    log = ProgressLog(Journal("cats"))
    for archived in range(0, 250, 5):
        log.listen(seen(archived, failed=1 if archived else 0))
    assert said(heard) == [
        "cats: 0 of 500 archived; 8",
        "cats: 100 of 500 archived, 1 failed; 8",
        "cats: 200 of 500 archived, 1 failed; 8",
    ]


def test_a_pause_and_its_end_are_told_at_once(heard: Listening) -> None:
    log = ProgressLog(Journal("cats"))
    for paused in (False, True, True, False):
        log.listen(seen(3, paused=paused))
    assert said(heard) == [
        "cats: 3 of 500 archived; 8",
        "cats: 3 of 500 archived, paused; 8",
        "cats: 3 of 500 archived; 8",
    ]


def test_a_half_minute_without_a_hundred_rows_is_told(
    heard: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "SECONDS_BETWEEN_LINES", 0.0)
    log = ProgressLog(Journal("cats"))
    for _ in range(3):
        log.listen(seen(3))
    assert len(heard.lines) == 3
