"""The claim: one POST at a time for a job, and never more of them than the account allows."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from reelbatch.jobs import State
from reelbatch.ledger import Ledger
from reelbatch.ledger.answers import accepted, doubted, rejected
from reelbatch.ledger.batches import open_account, open_batch, set_mark
from reelbatch.ledger.claims import Claimed, Moved, Reused, Stop, Wait, claim
from reelbatch.ledger.results import settle_failed, settle_good
from reelbatch.ledger.schema import attempts
from tests.contracts.ledger_parts import (
    ACCOUNT,
    CRASHED,
    PRICE,
    QUEUE_URL,
    REFUSED_PROMPT,
    account,
    archived,
    attempt,
    batch_named,
    body,
    check_books,
    claimed,
    entered,
    good,
    handle,
    job,
    jobs_of,
    keep,
    pending,
    put_account,
    put_job,
    race,
    row,
    rows,
    state,
    submitted,
    terms,
    unpark,
)


def _twins(ledger: Ledger) -> tuple[str, str]:
    """Two rows that ask for the same."""
    batch = batch_named(ledger)
    entered(ledger, batch, [row("a", "A cat."), row("b", "A cat.")])
    first, second = jobs_of(ledger, batch)
    return first["id"], second["id"]


def test_fifty_connections_never_hold_more_than_the_window(ledger: Ledger, ledger_url: str) -> None:
    """Without the account's lock 50 workers took 272 places of 80."""
    answers = race(ledger_url, pending(ledger, 200), terms(window=80), openers=10)
    kinds = Counter(type(answer) for answer in answers)
    assert kinds == {Claimed: 80, Wait: 120}
    check_books(ledger, window=80)


def test_a_budget_of_16_dollars_is_never_crossed(ledger: Ledger, ledger_url: str) -> None:
    """However many workers: 80 videos of $0.20 are bought, and the 81st stops the run."""
    answers = race(ledger_url, pending(ledger, 100), terms(window=500, budget="16"), openers=10)
    assert Counter(map(type, answers)) == {Claimed: 80, Stop: 20}
    assert account(ledger)["reserved_usd"] == Decimal("16.00")
    check_books(ledger)


def test_one_of_many_claimers_gets_the_job(ledger: Ledger, ledger_url: str) -> None:
    """The others are told that it moved; none of them sends anything."""
    (job_id,) = pending(ledger)
    answers = race(ledger_url, [job_id] * 20, terms(), openers=4)
    assert Counter(map(type, answers)) == {Claimed: 1, Moved: 19}
    assert job(ledger, job_id)["attempts"] == 1
    check_books(ledger)


def test_a_job_that_fails_and_returns_while_we_wait_is_claimed_as_it_is_now(
    ledger: Ledger, ledger_url: str
) -> None:
    """What was read before the account's lock is history: the attempt's number is read after."""
    (job_id,) = pending(ledger)
    for n in range(1, 4):
        answers = race(ledger_url, [job_id] * 10, terms(), openers=2)
        (won,) = (answer for answer in answers if isinstance(answer, Claimed))
        assert won.n == n
        rejected(ledger, won.attempt_id, REFUSED_PROMPT, park="throttled")
        unpark(ledger)
    check_books(ledger)


def test_the_attempt_is_on_record_before_the_claim_returns(ledger: Ledger) -> None:
    """If we die before the POST's answer, whatever comes back still finds its job."""
    (job_id,) = pending(ledger)
    right = claimed(ledger, job_id)
    kept = attempt(ledger, right.attempt_id)
    assert (kept["job_id"], kept["n"], kept["token"]) == (job_id, 1, right.token)
    assert kept["body"] == body(job_id)
    assert kept["reserved_usd"] == PRICE
    assert kept["claimed_at"] == right.claimed_at
    assert state(ledger, job_id) is State.SUBMITTING


def test_an_attempt_has_a_deadline_after_which_its_absence_may_count(ledger: Ledger) -> None:
    """The last moment its POST could leave, the start timeout it carried, and the grace."""
    (job_id,) = pending(ledger)
    right = claimed(ledger, job_id)
    deadline = attempt(ledger, right.attempt_id)["deadline_at"]
    assert deadline == right.claimed_at + timedelta(seconds=10, hours=2, minutes=15)


def test_every_attempt_has_a_token_of_its_own(ledger: Ledger) -> None:
    """The token alone says whose webhook it is."""
    for job_id in pending(ledger, 30):
        rejected(ledger, claimed(ledger, job_id).attempt_id, CRASHED, park="throttled")
        unpark(ledger)
        claimed(ledger, job_id)
    with ledger.reading() as tx:
        tokens = list(tx.execute(select(attempts.c.token)).scalars())
    assert len(set(tokens)) == len(tokens) == 60
    assert all(len(token) >= 22 for token in tokens), "128 bits are 22 characters"


def test_the_budget_counts_what_is_spent_and_what_is_reserved(ledger: Ledger) -> None:
    first, second, third = pending(ledger, 3)
    archived(ledger, first)
    doubted(ledger, claimed(ledger, second).attempt_id, "no answer")
    stop = claim(ledger, third, {}, terms(budget="0.59"))
    assert stop == Stop(reason="budget")
    assert isinstance(claim(ledger, third, {}, terms(budget="0.60")), Claimed)


def test_a_budget_belongs_to_one_batch(ledger: Ledger) -> None:
    (cats,) = pending(ledger)
    (dogs,) = pending(ledger, name="dogs")
    claimed(ledger, cats, terms(budget="0.20"))
    claimed(ledger, dogs, terms(budget="0.20"))


def test_a_day_budget_belongs_to_the_account(ledger: Ledger) -> None:
    """Two batches share it."""
    (cats,) = pending(ledger)
    (dogs,) = pending(ledger, name="dogs")
    claimed(ledger, cats, terms(budget_per_day="0.30"))
    assert claim(ledger, dogs, {}, terms(budget_per_day="0.30")) == Stop(reason="budget")


def test_the_next_day_has_a_budget_of_its_own(ledger: Ledger) -> None:
    first, second = pending(ledger, 2)
    claimed(ledger, first, terms(budget_per_day="0.20"))
    put_account(ledger, day="2024-02-28")
    claimed(ledger, second, terms(budget_per_day="0.20"))
    assert account(ledger)["day_usd"] == PRICE


def test_what_yesterday_reserved_and_today_releases_is_no_gift_to_today(ledger: Ledger) -> None:
    """Money counts for the day of its claim, in UTC."""
    first, second, third = pending(ledger, 3)
    old = claimed(ledger, first)
    put_account(ledger, day="2024-02-28")
    yesterday = datetime(2024, 2, 28, 12, tzinfo=UTC)
    with ledger.writing() as tx:
        mine = attempts.c.id == old.attempt_id
        tx.execute(attempts.update().where(mine).values(claimed_at=yesterday))
    claimed(ledger, second)
    rejected(ledger, old.attempt_id, REFUSED_PROMPT, park=None)
    assert account(ledger)["day_usd"] == PRICE
    assert claim(ledger, third, {}, terms(budget_per_day="0.20")) == Stop(reason="budget")


def test_claims_keep_the_account_s_pace(ledger: Ledger) -> None:
    """Four a second for the account, whoever asks: the next place is a quarter second later."""
    first, second = pending(ledger, 2)
    right = claimed(ledger, first, terms(pace=4))
    answer = claim(ledger, second, {}, terms(pace=4))
    assert answer == Wait(reason="pace", until=right.claimed_at + timedelta(seconds=0.25))
    put_account(ledger, next_submit_at=right.claimed_at - timedelta(seconds=1))
    claimed(ledger, second, terms(pace=4))


def test_a_full_window_waits_until_a_job_comes_back(ledger: Ledger) -> None:
    first, second = pending(ledger, 2)
    attempt_id = submitted(ledger, first)
    assert claim(ledger, second, {}, terms(window=1)) == Wait(reason="window")
    settle_good(ledger, attempt_id, good(), PRICE)
    claimed(ledger, second, terms(window=1))


def test_doubt_holds_money_but_no_place(ledger: Ledger) -> None:
    first, second = pending(ledger, 2)
    doubted(ledger, claimed(ledger, first).attempt_id, "no answer")
    claimed(ledger, second, terms(window=1))
    assert account(ledger)["reserved_usd"] == 2 * PRICE


def test_a_small_batch_gets_its_share_of_a_window_that_is_full(ledger: Ledger) -> None:
    """An urgent batch is not stuck behind ten thousand rows of another."""
    large = pending(ledger, 12)
    held = [submitted(ledger, job_id) for job_id in large[:10]]
    small = pending(ledger, 6, name="dogs")
    assert claim(ledger, small[0], {}, terms(window=10)) == Wait(reason="window")

    settle_good(ledger, held[0], good(), PRICE)
    assert claim(ledger, large[10], {}, terms(window=10)) == Wait(reason="share")
    claimed(ledger, small[0], terms(window=10))

    for attempt_id in held[1:5]:
        settle_good(ledger, attempt_id, good(), PRICE)
    for job_id in small[1:5]:
        claimed(ledger, job_id, terms(window=10))
    assert claim(ledger, small[5], {}, terms(window=10)) == Wait(reason="window")
    settle_good(ledger, held[5], good(), PRICE)
    claimed(ledger, large[10], terms(window=10))


def test_a_batch_that_asks_no_more_leaves_its_share(ledger: Ledger) -> None:
    """What it wanted is claimed: nothing is kept free for it."""
    large = pending(ledger, 4)
    (small,) = pending(ledger, name="dogs")
    held = [submitted(ledger, job_id) for job_id in large[:2]]
    assert claim(ledger, small, {}, terms(window=2)) == Wait(reason="window")
    settle_good(ledger, held[0], good(), PRICE)
    archived(ledger, small)
    claimed(ledger, large[2], terms(window=2))


def test_a_batch_that_is_paused_leaves_its_share(ledger: Ledger) -> None:
    large = pending(ledger, 4)
    (small,) = pending(ledger, name="dogs")
    held = [submitted(ledger, job_id) for job_id in large[:2]]
    assert claim(ledger, small, {}, terms(window=2)) == Wait(reason="window")
    settle_good(ledger, held[0], good(), PRICE)
    assert claim(ledger, large[2], {}, terms(window=2)) == Wait(reason="share")
    set_mark(ledger, batch_named(ledger, "dogs").id, "pause")
    claimed(ledger, large[2], terms(window=2))


@pytest.mark.parametrize(("mark", "reason"), [("pause", "paused"), ("cancel", "cancelled")])
def test_a_mark_on_the_batch_stops_its_claims(ledger: Ledger, mark: str, reason: str) -> None:
    """Every process at work on it obeys; lifting the mark lets them go on."""
    (job_id,) = pending(ledger)
    batch = batch_named(ledger)
    set_mark(ledger, batch.id, mark)  # type: ignore[arg-type]
    assert claim(ledger, job_id, {}, terms()) == Stop(reason=reason)  # type: ignore[arg-type]
    set_mark(ledger, batch.id, None)
    claimed(ledger, job_id)


def test_a_withdrawn_job_cannot_be_claimed(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    put_job(ledger, job_id, withdrawn=True)
    assert claim(ledger, job_id, {}, terms()) == Moved()


def test_a_job_that_failed_just_now_is_not_due_yet(ledger: Ledger) -> None:
    """fal gets a moment before the one retry."""
    (job_id,) = pending(ledger)
    attempt_id = submitted(ledger, job_id)
    settle_failed(ledger, attempt_id, CRASHED, ending="transient", charge="none", price=PRICE)
    due = job(ledger, job_id)["not_before"]
    assert claim(ledger, job_id, {}, terms()) == Wait(reason="later", until=due)
    put_job(ledger, job_id, not_before=due - timedelta(minutes=1))
    assert claimed(ledger, job_id).n == 2


def test_a_twin_waits_while_the_same_request_is_in_flight(ledger: Ledger) -> None:
    """Two rows with the same explicit request are paid once."""
    first, second = _twins(ledger)
    waits = Wait(reason="twin", job_id=first)
    right = claimed(ledger, first)
    assert claim(ledger, second, {}, terms()) == waits
    doubted(ledger, right.attempt_id, "no answer")
    assert claim(ledger, second, {}, terms()) == waits
    accepted(ledger, right.attempt_id, handle("r"))
    assert claim(ledger, second, {}, terms()) == waits
    settle_good(ledger, right.attempt_id, good(), PRICE)
    assert claim(ledger, second, {}, terms()) == waits


def test_two_twins_claimed_at_once_are_one_post(ledger: Ledger, ledger_url: str) -> None:
    batch = batch_named(ledger)
    entered(ledger, batch, [row(f"r-{n}", "A cat.") for n in range(10)])
    twins = [one["id"] for one in jobs_of(ledger, batch)]
    answers = race(ledger_url, twins, terms(), openers=2)
    assert Counter(map(type, answers)) == {Claimed: 1, Wait: 9}


def test_twins_of_two_accounts_claimed_at_once_are_one_post(
    ledger: Ledger, ledger_url: str
) -> None:
    """Two REELBATCH_ACCOUNTs on one fal: each claim locks another account."""
    open_account(ledger, "other", QUEUE_URL)
    other = open_batch(
        ledger,
        "dogs",
        account_id="other",
        place="/work/dogs.csv",
        archive="./archive",
        named_by_hand=False,
    )
    mine = batch_named(ledger)
    for batch in (mine, other):
        entered(ledger, batch, rows(20))
    pairs = zip(jobs_of(ledger, mine), jobs_of(ledger, other), strict=True)
    twins = [one["id"] for pair in pairs for one in pair]
    answers = race(ledger_url, twins, terms(), openers=4)
    assert Counter(map(type, answers)) == {Claimed: 20, Wait: 20}


def test_a_twin_of_an_archived_job_is_served_for_nothing(ledger: Ledger) -> None:
    first, second = _twins(ledger)
    archived(ledger, first)
    assert claim(ledger, second, {}, terms(window=0, budget="0")) == Reused(source_id=first)
    served = job(ledger, second)
    assert (served["state"], served["reused_from"]) == (State.COMPLETED, first)
    assert (served["cost_usd"], served["cost_basis"]) == (Decimal(0), "reused")
    check_books(ledger)


def test_the_same_request_of_another_batch_is_served_too(ledger: Ledger) -> None:
    (first,) = pending(ledger)
    archived(ledger, first)
    other = batch_named(ledger, "more-cats")
    entered(ledger, other, rows(1))
    (second,) = jobs_of(ledger, other)
    assert claim(ledger, second["id"], {}, terms()) == Reused(source_id=first)


def test_a_rejected_video_is_not_reused(ledger: Ledger) -> None:
    """Nobody wants a second copy of what a reviewer threw out."""
    first, second = _twins(ledger)
    archived(ledger, first)
    put_job(ledger, first, review="rejected")
    claimed(ledger, second)


def test_a_twin_is_claimed_like_any_job_once_the_first_has_failed(ledger: Ledger) -> None:
    first, second = _twins(ledger)
    rejected(ledger, claimed(ledger, first).attempt_id, REFUSED_PROMPT, park=None)
    claimed(ledger, second)


def test_serving_a_job_forgets_no_money_it_cost_before(ledger: Ledger) -> None:
    """An attempt that may have been paid stays in the job's cost, whoever serves it then."""
    first, second = _twins(ledger)
    lost = submitted(ledger, second)
    settle_failed(ledger, lost, CRASHED, ending="transient", charge="maybe", price=PRICE)
    put_job(ledger, second, not_before=None)
    archived(ledger, first)
    assert claim(ledger, second, {}, terms()) == Reused(source_id=first)
    keep(ledger, second)
    assert job(ledger, second)["cost_usd"] == PRICE
    check_books(ledger)


def test_a_wait_costs_nothing(ledger: Ledger) -> None:
    first, second = pending(ledger, 2)
    claimed(ledger, first)
    claim(ledger, second, {}, terms(window=1))
    assert account(ledger)["reserved_usd"] == PRICE
    assert account(ledger)["id"] == ACCOUNT
    assert job(ledger, second)["attempts"] == 0
    check_books(ledger)
