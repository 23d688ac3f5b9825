"""Orders from another terminal: claims obey them, whichever process makes them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from decimal import Decimal

import pytest

from reelbatch.fal.answers import CancelAnswer
from reelbatch.jobs import State
from reelbatch.ledger import Ledger, orders
from reelbatch.ledger.batches import set_mark
from reelbatch.ledger.claims import Stop, Wait, claim
from reelbatch.ledger.posts import lock_account
from reelbatch.ledger.results import cancel_asked, settle_good
from reelbatch.run.settling import settle_cancelled
from tests.contracts.ledger_parts import (
    ACCOUNT,
    PRICE,
    archived,
    attempt,
    batch_named,
    check_books,
    claimed,
    good,
    pending,
    state,
    submitted,
    terms,
)


def test_another_window_holds_for_the_next_claim_of_every_run(ledger: Ledger) -> None:
    """Narrower or wider than the run's own; None gives each run its own again."""
    wanted = pending(ledger, 4)
    claimed(ledger, wanted[0], terms(window=1))
    orders.set_window(ledger, ACCOUNT, 2)
    claimed(ledger, wanted[1], terms(window=1))
    assert claim(ledger, wanted[2], {}, terms(window=80)) == Wait(reason="window")
    orders.set_window(ledger, ACCOUNT, None)
    claimed(ledger, wanted[2], terms(window=80))
    assert claim(ledger, wanted[3], {}, terms(window=3)) == Wait(reason="window")


def test_orders_are_the_last_word_of_each(ledger: Ledger) -> None:
    batch = batch_named(ledger)
    assert orders.read_orders(ledger, batch.id) == orders.Orders(mark=None, window=None)
    orders.set_window(ledger, ACCOUNT, 7)
    set_mark(ledger, batch.id, "pause")
    set_mark(ledger, batch.id, "cancel")
    assert orders.read_orders(ledger, batch.id) == orders.Orders(mark="cancel", window=7)


def test_a_mark_waits_for_the_claim_under_way(ledger: Ledger) -> None:
    """Else a claim that has read no mark could commit, and be paid, after the mark was set."""
    (job_id,) = pending(ledger)
    batch = batch_named(ledger)
    with ThreadPoolExecutor(1) as elsewhere:
        with ledger.writing() as tx:
            lock_account(tx, ACCOUNT)
            marking = elsewhere.submit(set_mark, ledger, batch.id, "cancel")
            assert wait([marking], timeout=0.3).not_done
        marking.result(timeout=30)
    assert claim(ledger, job_id, {}, terms()) == Stop(reason="cancelled")


def test_what_is_under_way_is_between_its_claim_and_the_archive(ledger: Ledger) -> None:
    wire, queue, made, kept, _ = pending(ledger, 5)
    archived(ledger, kept)
    settle_good(ledger, submitted(ledger, made), good(), PRICE)
    submitted(ledger, queue)
    claimed(ledger, wire)
    batch = batch_named(ledger)
    assert orders.under_way(ledger, batch.id) == {wire, queue, made}
    assert orders.on_the_wire(ledger, batch.id) == 1


def test_only_what_fal_has_and_nobody_cancelled_is_left_to_cancel(ledger: Ledger) -> None:
    first, second, third, _ = pending(ledger, 4)
    posted = [submitted(ledger, job_id) for job_id in (first, second, third)]
    settle_cancelled(ledger, posted[0], CancelAnswer.REMOVED, PRICE)
    settle_cancelled(ledger, posted[1], CancelAnswer.REQUESTED, PRICE)
    batch = batch_named(ledger)
    assert [one["id"] for one in orders.submitted(ledger, batch.id)] == [posted[2]]
    assert orders.cancelled_requests(ledger, batch.id) == {f"request-{posted[0]}"}


@pytest.mark.parametrize(
    ("answer", "stands", "reserved"),
    [
        (CancelAnswer.REMOVED, State.CANCELLED, "0"),
        (CancelAnswer.NOT_FOUND, State.CANCELLED, "0"),
        (CancelAnswer.REQUESTED, State.SUBMITTED, "0.20"),
        (CancelAnswer.ALREADY_COMPLETED, State.SUBMITTED, "0.20"),
    ],
)
def test_cancelled_is_only_what_fal_confirms(
    ledger: Ledger, answer: CancelAnswer, stands: State, reserved: str
) -> None:
    """A request that runs may end well: its money stays reserved, and it is collected."""
    (job_id,) = pending(ledger)
    attempt_id = submitted(ledger, job_id)
    settle_cancelled(ledger, attempt_id, answer, PRICE)
    assert state(ledger, job_id) == stands
    kept = attempt(ledger, attempt_id)
    assert (kept["cancel_answer"], kept["reserved_usd"]) == (answer, Decimal(reserved))
    check_books(ledger)


def test_a_video_that_was_made_all_the_same_beats_the_cancellation(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    attempt_id = submitted(ledger, job_id)
    settle_cancelled(ledger, attempt_id, CancelAnswer.REMOVED, PRICE)
    assert settle_good(ledger, attempt_id, good(), PRICE)
    assert state(ledger, job_id) == State.COMPLETED
    check_books(ledger)


def test_the_first_answer_to_a_cancellation_counts(ledger: Ledger) -> None:
    """Whoever asks second hears that it is over already, which says nothing of how."""
    (job_id,) = pending(ledger)
    attempt_id = submitted(ledger, job_id)
    cancel_asked(ledger, attempt_id, CancelAnswer.REMOVED)
    cancel_asked(ledger, attempt_id, CancelAnswer.ALREADY_COMPLETED)
    assert attempt(ledger, attempt_id)["cancel_answer"] == CancelAnswer.REMOVED
