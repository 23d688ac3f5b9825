"""What a person sees who watches a batch, on either database."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from reelbatch.jobs import State
from reelbatch.ledger import Ledger
from reelbatch.ledger.batches import set_mark
from reelbatch.ledger.engine import now
from reelbatch.ledger.glance import glance
from reelbatch.ledger.results import settle_failed
from reelbatch.ledger.schema import attempts
from tests.contracts.ledger_parts import (
    PRICE,
    REFUSED_PROMPT,
    archived,
    batch_named,
    claimed,
    pending,
    put,
    put_account,
    put_job,
    submitted,
)


def test_a_glance_tells_counts_money_causes_and_orders(ledger: Ledger) -> None:
    kept, refused, flying, withdrawn, _ = pending(ledger, 5)
    archived(ledger, kept)
    settle_failed(
        ledger, submitted(ledger, refused), REFUSED_PROMPT,
        ending="permanent", charge="maybe", price=PRICE,
    )  # fmt: skip
    claimed(ledger, flying)
    put_job(ledger, withdrawn, withdrawn=True)
    batch = batch_named(ledger)
    set_mark(ledger, batch.id, "pause")
    put_account(ledger, parked_reason="locked", window=7)
    seen = glance(ledger, batch.id)
    assert seen.states == {
        State.ARCHIVED: 1, State.FAILED: 1, State.SUBMITTING: 1, State.PENDING: 1
    }  # fmt: skip
    assert (seen.spent_usd, seen.reserved_usd) == (Decimal("0.40"), Decimal("0.20"))
    assert seen.causes == {"content_policy_violation": 1}
    assert (seen.mark, seen.window, seen.parked_reason) == ("pause", 7, "locked")


def test_the_rate_is_that_of_the_last_minutes(ledger: Ledger) -> None:
    """What was archived an hour ago says nothing of now."""
    wanted = pending(ledger, 4)
    batch = batch_named(ledger)
    for job_id in wanted[:3]:
        archived(ledger, job_id)
    assert glance(ledger, batch_named(ledger, "dogs").id).per_minute is None
    with ledger.reading() as tx:
        at = now(tx)
    for job_id, ago in zip(wanted, (60, 2, 0.5), strict=False):
        put_job(ledger, job_id, archived_at=at - timedelta(minutes=ago))
    rate = glance(ledger, batch.id).per_minute
    assert rate is not None
    assert 0.5 < rate <= 1.0
    put_job(ledger, wanted[1], archived_at=at - timedelta(hours=1))
    assert glance(ledger, batch.id).per_minute is None


def test_run_times_are_fal_s_own_in_order(ledger: Ledger) -> None:
    wanted = pending(ledger, 3)
    paid = [archived(ledger, job_id) for job_id in wanted]
    for attempt_id, seconds in zip(paid, (40.0, 60.0, 50.0), strict=True):
        put(ledger, attempts, attempts.c.id == attempt_id, inference_seconds=seconds)
    assert glance(ledger, batch_named(ledger).id).run_seconds == (40.0, 50.0, 60.0)
