"""Webhooks about requests that the ledger never sent: kept short, and shown until one is ours."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from reelbatch.ledger import Ledger, unknown_calls
from reelbatch.ledger.schema import unknown_calls as table
from reelbatch.ledger.strays import Stray, adopt, note_strays
from reelbatch.ledger.unknown_calls import LONGEST_ID, calls_nobody_knows, note_unknown
from tests.contracts.ledger_parts import (
    PRICE,
    archived,
    attempt,
    batch_named,
    handle,
    pending,
    submitted,
)


def heard_of(ledger: Ledger, request_id: str, status: str = "OK") -> None:
    note_unknown(ledger, request_id, user_id="user_2", status=status)


def shown(ledger: Ledger) -> list[str]:
    return [call.request_id for call in calls_nobody_knows(ledger)]


def an_hour_passes(ledger: Ledger) -> None:
    with ledger.writing() as tx:
        for call in tx.execute(table.select()).mappings().all():
            hour: dict[str, Any] = {
                name: call[name] - timedelta(hours=1)
                for name in ("first_heard_at", "last_heard_at")
            }
            tx.execute(table.update().where(table.c.request_id == call["request_id"]).values(hour))


def test_a_request_is_one_line_however_often_fal_tells_of_it(ledger: Ledger) -> None:
    heard_of(ledger, "r-1")
    an_hour_passes(ledger)
    heard_of(ledger, "r-1", "ERROR")
    (call,) = calls_nobody_knows(ledger)
    assert (call.request_id, call.user_id, call.status) == ("r-1", "user_2", "ERROR")
    assert call.times == 2
    assert call.last_heard_at - call.first_heard_at >= timedelta(hours=1)


def test_what_was_heard_of_last_is_shown_first(ledger: Ledger) -> None:
    heard_of(ledger, "r-1")
    an_hour_passes(ledger)
    heard_of(ledger, "r-2")
    an_hour_passes(ledger)
    heard_of(ledger, "r-1")
    assert shown(ledger) == ["r-1", "r-2"]


def test_only_so_many_are_kept_and_the_oldest_goes(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may have fal sign calls to our address."""
    monkeypatch.setattr(unknown_calls, "KEPT", 3)
    for n in range(1, 6):
        heard_of(ledger, f"r-{n}")
        an_hour_passes(ledger)
    assert shown(ledger) == ["r-5", "r-4", "r-3"]


def test_an_id_of_any_length_takes_little_room(ledger: Ledger) -> None:
    note_unknown(ledger, "r" * 5000, user_id="u" * 5000, status="OK")
    (call,) = calls_nobody_knows(ledger)
    assert (len(call.request_id), len(call.user_id)) == (LONGEST_ID, LONGEST_ID)


def test_a_request_that_an_attempt_holds_by_now_is_not_shown(ledger: Ledger) -> None:
    """It was a copy of this ledger that did not know it."""
    (job_id,) = pending(ledger)
    request_id = attempt(ledger, submitted(ledger, job_id))["request_id"]
    heard_of(ledger, request_id)
    heard_of(ledger, "r-9")
    assert shown(ledger) == ["r-9"]


def test_a_request_that_is_a_stray_of_a_batch_is_shown_there(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    sent_at = attempt(ledger, archived(ledger, job_id))["claimed_at"]
    stray = Stray(request_id="r-9", job_id=job_id, endpoint_id="fal-ai/ovi", sent_at=sent_at)
    heard_of(ledger, "r-9")
    assert shown(ledger) == ["r-9"]
    note_strays(ledger, batch_named(ledger).id, [stray])
    assert shown(ledger) == []
    adopt(ledger, stray, handle("r-9"), PRICE)
    assert shown(ledger) == []
