"""After a storm the ledger's money is held against fal's own record."""

from __future__ import annotations

from typing import Any

from bench.books import last_deadline, wrongs
from reelbatch.ledger import Ledger
from reelbatch.ledger.answers import doubted
from reelbatch.ledger.schema import batches
from tests.contracts.ledger_parts import archived, attempt, claimed, pending, put


def made(ledger: Ledger, attempt_id: str, status: int = 200) -> dict[str, Any]:
    """As the emulator shows the request of this attempt."""
    return {"request_id": attempt(ledger, attempt_id)["request_id"], "status_code": status}


def test_a_batch_that_was_paid_once_is_booked_right(ledger: Ledger) -> None:
    submissions = [made(ledger, archived(ledger, job_id)) for job_id in pending(ledger, 3)]
    assert list(wrongs(ledger, submissions)) == []


def test_a_video_that_was_never_made_may_not_be_booked(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    (sentence,) = wrongs(ledger, [made(ledger, archived(ledger, job_id), 500)])
    assert "is not good, and booked as priced" in sentence


def test_totals_that_have_drifted_are_seen(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    submissions = [made(ledger, archived(ledger, job_id))]
    put(ledger, batches, batches.c.name == "cats", spent_usd=1)
    (sentence,) = wrongs(ledger, submissions)
    assert "says 1.00 spent, 0.00 reserved; its attempts say 0.20 spent" in sentence


def test_a_doubt_can_show_itself_until_its_deadline(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    attempt_id = claimed(ledger, job_id).attempt_id
    before = last_deadline(ledger)
    doubted(ledger, attempt_id, "no answer")
    assert before < last_deadline(ledger) == attempt(ledger, attempt_id)["deadline_at"]
