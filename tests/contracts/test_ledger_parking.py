"""An account in trouble is left alone for a time, then one claim asks whether it has passed."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest

from reelbatch.ledger import Ledger
from reelbatch.ledger.answers import Why, accepted, doubted, not_sent, rejected
from reelbatch.ledger.claims import Claimed, Wait, claim
from reelbatch.ledger.parking import ParkReason, parked, probe_now
from tests.contracts.ledger_parts import (
    ACCOUNT,
    REFUSED_PROMPT,
    THROTTLED,
    account,
    check_books,
    claimed,
    handle,
    pending,
    put_account,
    race,
    terms,
)


def _throttled(ledger: Ledger, job_id: str, retry_after: float | None = None) -> None:
    attempt_id = claimed(ledger, job_id).attempt_id
    rejected(ledger, attempt_id, THROTTLED, park="throttled", retry_after=retry_after)


def _time_is_up(ledger: Ledger) -> None:
    put_account(ledger, parked_until=_until(ledger) - timedelta(hours=2))


def _until(ledger: Ledger) -> datetime:
    found = parked(ledger, ACCOUNT)
    assert found is not None
    return found.until


def _seconds(ledger: Ledger) -> float:
    seconds: float = account(ledger)["parked_seconds"]
    return seconds


def test_a_sound_account_is_not_parked(ledger: Ledger) -> None:
    pending(ledger)
    assert parked(ledger, ACCOUNT) is None
    assert parked(ledger, "nobody") is None


@pytest.mark.parametrize(("reason", "seconds"), [("throttled", 5), ("locked", 600), ("auth", 600)])
def test_every_trouble_has_its_own_time(ledger: Ledger, reason: ParkReason, seconds: float) -> None:
    """A throttled account is asked again soon; one that is locked wants a person first."""
    first, second = pending(ledger, 2)
    rejected(ledger, claimed(ledger, first).attempt_id, THROTTLED, park=reason)
    found = parked(ledger, ACCOUNT)
    assert found is not None
    assert (found.reason, found.detail) == (reason, THROTTLED.message)
    assert found.until - found.since == timedelta(seconds=seconds)
    waits = Wait(reason="parked", until=found.until, detail=reason)
    assert claim(ledger, second, {}, terms()) == waits


def test_a_network_that_is_down_parks_for_five_seconds(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    not_sent(ledger, claimed(ledger, job_id).attempt_id, "no route to host", park=True)
    found = parked(ledger, ACCOUNT)
    assert found is not None
    assert (found.reason, found.until - found.since) == ("unreachable", timedelta(seconds=5))


def test_retry_after_is_respected(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    _throttled(ledger, job_id, retry_after=37)
    assert _seconds(ledger) == 37


def test_an_older_post_s_acceptance_does_not_cut_retry_after_short(ledger: Ledger) -> None:
    """Of eighty POSTs on the wire some are taken and one is throttled: fal's word holds."""
    early, late = pending(ledger, 2)
    straggler = claimed(ledger, early).attempt_id
    _throttled(ledger, late, retry_after=37)
    accepted(ledger, straggler, handle("r-1"))
    assert parked(ledger, ACCOUNT) is not None


def test_a_longer_retry_after_lengthens_the_time(ledger: Ledger) -> None:
    """And a shorter one, or none, of another straggler does not shorten it."""
    on_the_wire = [claimed(ledger, job_id).attempt_id for job_id in pending(ledger, 4)]
    times = []
    for attempt_id, seconds in zip(on_the_wire, (5, 60, 2, None), strict=True):
        rejected(ledger, attempt_id, THROTTLED, park="throttled", retry_after=seconds)
        times.append(_until(ledger))
    assert times[0] < times[1] == times[2] == times[3]


def test_a_burst_of_refusals_is_one_trouble(ledger: Ledger) -> None:
    """Ten answers of the same second do not double the time ten times."""
    for attempt_id in [claimed(ledger, job_id).attempt_id for job_id in pending(ledger, 10)]:
        rejected(ledger, attempt_id, THROTTLED, park="throttled")
    assert _seconds(ledger) == 5


def test_a_small_trouble_does_not_shorten_a_great_one(ledger: Ledger) -> None:
    """An account without money is not asked again in five seconds because of one 429."""
    first, second = (claimed(ledger, job_id).attempt_id for job_id in pending(ledger, 2))
    rejected(ledger, first, Why(error_type="locked", message="Exhausted balance."), park="locked")
    until = _until(ledger)
    rejected(ledger, second, THROTTLED, park="throttled")
    found = parked(ledger, ACCOUNT)
    assert found is not None
    assert (found.reason, found.until) == ("locked", until)


def test_each_refused_probe_doubles_the_time_up_to_ten_minutes(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    seconds = []
    for _ in range(9):
        _throttled(ledger, job_id)
        seconds.append(_seconds(ledger))
        _time_is_up(ledger)
    assert seconds == [5, 10, 20, 40, 80, 160, 320, 600, 600]


def test_a_probe_of_which_nothing_is_heard_doubles_it_too(ledger: Ledger) -> None:
    """Only an acceptance says that the trouble has passed."""
    (first, second) = pending(ledger, 2)
    _throttled(ledger, first)
    _time_is_up(ledger)
    doubted(ledger, claimed(ledger, second).attempt_id, "no answer")
    found = parked(ledger, ACCOUNT)
    assert found is not None
    assert (found.reason, _seconds(ledger)) == ("throttled", 10)


def test_the_trouble_s_beginning_is_kept_while_it_lasts(ledger: Ledger) -> None:
    """Ten minutes unreachable end the run, however often it was tried in between."""
    (job_id,) = pending(ledger)
    not_sent(ledger, claimed(ledger, job_id).attempt_id, "no route", park=True)
    since = account(ledger)["parked_since"]
    _time_is_up(ledger)
    not_sent(ledger, claimed(ledger, job_id).attempt_id, "no route", park=True)
    assert account(ledger)["parked_since"] == since


def test_one_claim_at_a_time_probes(ledger: Ledger, ledger_url: str) -> None:
    """Fifty workers wait for its answer."""
    first, *others = pending(ledger, 30)
    _throttled(ledger, first)
    _time_is_up(ledger)
    answers = race(ledger_url, others, terms(), openers=2)
    assert Counter(map(type, answers)) == {Claimed: 1, Wait: 28}
    check_books(ledger)


def test_an_accepted_probe_lifts_it(ledger: Ledger) -> None:
    first, second, third = pending(ledger, 3)
    _throttled(ledger, first)
    _time_is_up(ledger)
    probe = claimed(ledger, second).attempt_id
    assert isinstance(claim(ledger, third, {}, terms()), Wait)
    accepted(ledger, probe, handle("r-1"))
    assert parked(ledger, ACCOUNT) is None
    claimed(ledger, third)
    _throttled(ledger, first)
    assert _seconds(ledger) == 5, "the next trouble begins anew"


def test_a_probe_that_fal_reads_and_refuses_lifts_it_too(ledger: Ledger) -> None:
    """The account buys again; this one prompt was the job's own fault."""
    first, second, third = pending(ledger, 3)
    _throttled(ledger, first)
    _time_is_up(ledger)
    rejected(ledger, claimed(ledger, second).attempt_id, REFUSED_PROMPT, park=None)
    assert parked(ledger, ACCOUNT) is None
    claimed(ledger, third)


def test_a_probe_that_never_left_makes_room_for_the_next(ledger: Ledger) -> None:
    first, second, third = pending(ledger, 3)
    _throttled(ledger, first)
    _time_is_up(ledger)
    not_sent(ledger, claimed(ledger, second).attempt_id, "too old to begin", park=False)
    claimed(ledger, third)


def test_a_probe_whose_process_died_is_followed_by_another(ledger: Ledger) -> None:
    first, second, third = pending(ledger, 3)
    _throttled(ledger, first)
    _time_is_up(ledger)
    probe = claimed(ledger, second)
    put_account(ledger, probe_at=probe.claimed_at - timedelta(seconds=46))
    claimed(ledger, third)


def test_a_straggler_s_answer_is_not_the_probe_s(ledger: Ledger) -> None:
    """Its doubt lets no second probe out."""
    first, second, third, fourth = pending(ledger, 4)
    straggler = claimed(ledger, first).attempt_id
    _throttled(ledger, second)
    _time_is_up(ledger)
    claimed(ledger, third)
    doubted(ledger, straggler, "no answer")
    assert isinstance(claim(ledger, fourth, {}, terms()), Wait)


def test_three_doubts_without_an_acceptance_between_are_a_storm(ledger: Ledger) -> None:
    """Each of them may have been paid: stop and look first."""
    jobs = pending(ledger, 3)
    for job_id in jobs:
        assert parked(ledger, ACCOUNT) is None
        doubted(ledger, claimed(ledger, job_id).attempt_id, "bad gateway")
    found = parked(ledger, ACCOUNT)
    assert found is not None
    assert (found.reason, found.detail) == ("storm", "bad gateway")
    assert found.until - found.since == timedelta(seconds=10)


def test_an_acceptance_between_doubts_calms_the_storm(ledger: Ledger) -> None:
    one, two, fine, three, four = pending(ledger, 5)
    for job_id in (one, two):
        doubted(ledger, claimed(ledger, job_id).attempt_id, "bad gateway")
    accepted(ledger, claimed(ledger, fine).attempt_id, handle("r-1"))
    for job_id in (three, four):
        doubted(ledger, claimed(ledger, job_id).attempt_id, "bad gateway")
    assert parked(ledger, ACCOUNT) is None


def test_after_a_storm_fal_answers_a_free_question_first(ledger: Ledger) -> None:
    """Each probe may be paid: nothing is sent to a fal that answers nothing."""
    *jobs, last = pending(ledger, 4)
    for job_id in jobs:
        doubted(ledger, claimed(ledger, job_id).attempt_id, "bad gateway")
    _time_is_up(ledger)
    assert isinstance(claim(ledger, last, {}, terms(fal_answers=False)), Wait)
    assert isinstance(claim(ledger, last, {}, terms(fal_answers=True)), Claimed)


def test_other_troubles_ask_by_their_probe_alone(ledger: Ledger) -> None:
    first, second = pending(ledger, 2)
    _throttled(ledger, first)
    _time_is_up(ledger)
    assert isinstance(claim(ledger, second, {}, terms(fal_answers=False)), Claimed)


def test_a_probe_answered_while_a_straggler_has_closed_the_door_is_over(ledger: Ledger) -> None:
    """Else the next one would wait for it until it counts as dead."""
    first, second, third, fourth = pending(ledger, 4)
    straggler = claimed(ledger, first).attempt_id
    _throttled(ledger, second)
    _time_is_up(ledger)
    probe = claimed(ledger, third).attempt_id
    rejected(ledger, straggler, THROTTLED, park="throttled")
    rejected(ledger, probe, THROTTLED, park="throttled")
    _time_is_up(ledger)
    claimed(ledger, fourth)


def test_a_run_that_starts_probes_at_once(ledger: Ledger) -> None:
    """The user may have topped up just now; refused again, the time still doubles."""
    first, second = pending(ledger, 2)
    _throttled(ledger, first, retry_after=300)
    assert isinstance(claim(ledger, second, {}, terms()), Wait)
    probe_now(ledger, ACCOUNT)
    _throttled(ledger, second)
    assert _seconds(ledger) == 600


def test_a_run_that_starts_on_a_sound_account_parks_nothing(ledger: Ledger) -> None:
    (job_id,) = pending(ledger)
    probe_now(ledger, ACCOUNT)
    assert parked(ledger, ACCOUNT) is None
    claimed(ledger, job_id)
