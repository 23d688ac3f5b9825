"""The account's slots and its window: what one process counts holds for all of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from reelbatch.ledger import Ledger, learning, orders, slots
from reelbatch.ledger.claims import Claimed, Wait, claim
from reelbatch.ledger.results import settle_good
from tests.contracts.ledger_parts import (
    ACCOUNT,
    PRICE,
    account,
    batch_named,
    claimed,
    good,
    pending,
    put_account,
    submitted,
    terms,
)

AUTO = terms(window=None)
DAY = timedelta(hours=24)
MINUTE = timedelta(minutes=1)


def now() -> datetime:
    return datetime.now(UTC)


def window(ledger: Ledger) -> int:
    return slots.standing(ledger, ACCOUNT).window


def remember(ledger: Ledger, seen: int, *, since: datetime) -> int:
    """What the account shows after a run that began then saw so many."""
    learning.remember_account(ledger, ACCOUNT, slots=seen, run_seconds=None, since=since)
    return int(account(ledger)["slots_seen"])


def test_an_account_that_has_shown_nothing_has_a_window_of_eighty(ledger: Ledger) -> None:
    batch_named(ledger)
    assert window(ledger) == 80


@pytest.mark.parametrize(("seen", "holds"), [(1, 4), (2, 4), (10, 20), (40, 80), (400, 800)])
def test_the_window_is_twice_the_slots(ledger: Ledger, seen: int, holds: int) -> None:
    batch_named(ledger)
    slots.keep_count(ledger, ACCOUNT, seen)
    assert window(ledger) == holds


def test_a_window_that_only_ever_doubles_has_an_end(ledger: Ledger) -> None:
    batch_named(ledger)
    for _ in range(12):
        slots.keep_count(ledger, ACCOUNT, window(ledger))
    assert window(ledger) == 5000


def test_a_claim_obeys_a_count_at_once(ledger: Ledger) -> None:
    """Whoever made it: nothing but the account's row is asked."""
    wanted = pending(ledger, 7)
    slots.keep_count(ledger, ACCOUNT, 2)
    for job_id in wanted[:4]:
        claimed(ledger, job_id, AUTO)
    assert claim(ledger, wanted[4], {}, AUTO) == Wait(reason="window")
    slots.keep_count(ledger, ACCOUNT, 3)
    assert isinstance(claim(ledger, wanted[4], {}, AUTO), Claimed)


def test_a_persons_window_beats_every_count(ledger: Ledger) -> None:
    first, second = pending(ledger, 2)
    slots.keep_count(ledger, ACCOUNT, 40)
    claimed(ledger, first, terms(window=1))
    assert claim(ledger, second, {}, terms(window=1)) == Wait(reason="window")
    orders.set_window(ledger, ACCOUNT, 1)
    assert claim(ledger, second, {}, AUTO) == Wait(reason="window")
    assert slots.standing(ledger, ACCOUNT).ordered == 1


def test_for_a_day_the_window_holds_twice_the_most_that_ran(ledger: Ledger) -> None:
    """Other people's queue is not our account's limit; an account that has shrunk is."""
    batch_named(ledger)
    slots.keep_count(ledger, ACCOUNT, 40)
    slots.keep_count(ledger, ACCOUNT, 3)
    assert (window(ledger), account(ledger)["slots_seen"]) == (80, 3)
    put_account(ledger, most_running_at=now() - DAY - MINUTE)
    assert window(ledger) == 6
    slots.keep_count(ledger, ACCOUNT, 5)
    slots.keep_count(ledger, ACCOUNT, 4)
    assert window(ledger) == 10


def test_of_those_who_would_count_one_does(ledger: Ledger) -> None:
    batch_named(ledger)
    for _ in range(3):
        seen = slots.standing(ledger, ACCOUNT).counted_at
        with ThreadPoolExecutor(4) as others:
            took = [others.submit(slots.take_turn, ledger, ACCOUNT, seen) for _ in range(4)]
        assert sorted(one.result() for one in took) == [False, False, False, True]


def test_a_count_is_of_all_that_the_account_has_at_fal(ledger: Ledger) -> None:
    """Of every batch, in the order it was sent; not what is on the wire or has ended."""
    cat, kitten, on_the_wire, done = pending(ledger, 4)
    (dog,) = pending(ledger, 1, name="dogs")
    at_fal = [f"request-{submitted(ledger, job_id)}" for job_id in (kitten, dog, cat)]
    claimed(ledger, on_the_wire)
    settle_good(ledger, submitted(ledger, done), good(), PRICE)
    assert [one["request_id"] for one in slots.submissions(ledger, ACCOUNT)] == at_fal
    assert slots.standing(ledger, ACCOUNT).in_flight == 4


def test_one_run_may_raise_what_is_known_and_lowers_only_what_is_old(ledger: Ledger) -> None:
    """It sees only its part: two that share eight slots see four each."""
    batch_named(ledger)
    assert remember(ledger, 4, since=now()) == 4
    assert remember(ledger, 8, since=now()) == 8
    assert remember(ledger, 4, since=now()) == 8
    put_account(ledger, slots_seen_at=now() - DAY - MINUTE)
    assert remember(ledger, 4, since=now()) == 4


def test_one_run_knows_nothing_better_than_a_count_taken_meanwhile(ledger: Ledger) -> None:
    batch_named(ledger)
    began = now() - MINUTE
    slots.keep_count(ledger, ACCOUNT, 8)
    assert remember(ledger, 11, since=began) == 8
