"""Presence is quickly believed, absence hardly ever: each clause of the evidence, and each trap."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from reelbatch.fal.answers import ListedRequest
from reelbatch.jobs import RequestId
from reelbatch.ledger.doubts import Doubt
from reelbatch.run.evidence import Reading, Verdict, judge, present

MODEL = "fal-ai/ovi"
BODY = {"prompt": "A cat", "seed": 7, "num_inference_steps": 30}
OTHER = BODY | {"seed": 8}
CLAIMED = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DEADLINE = CLAIMED + timedelta(hours=2, minutes=15)
AFTER = DEADLINE + timedelta(minutes=1)


def doubt(body: Mapping[str, Any] = BODY) -> Doubt:
    return Doubt(
        job_id="job",
        row_id="tom",
        attempt_id="job-1",
        endpoint_id=MODEL,
        body=body,
        claimed_at=CLAIMED,
        deadline_at=DEADLINE,
        reserved_usd=Decimal("0.20"),
    )


def listed(
    name: str, body: Mapping[str, Any] | None = OTHER, *, after: float = 1.0, model: str = MODEL
) -> ListedRequest:
    """A request that fal received so many seconds after the claim, on fal's own clock."""
    return ListedRequest(
        request_id=RequestId(name),
        endpoint_id=model,
        sent_at=CLAIMED + timedelta(seconds=after),
        json_input=body,
    )


def reading(
    *requests: ListedRequest, made_at: datetime = AFTER, clock_offset: float = 0.0
) -> Reading:
    return Reading(made_at=made_at, listed=requests, clock_offset=timedelta(seconds=clock_offset))


def found(of: Reading, *taken: str, body: Mapping[str, Any] = BODY) -> str | None:
    request = present(doubt(body), of, {}, taken)
    return str(request.request_id) if request else None


def verdict(of: Reading, *neighbours: str, taken: set[str] | None = None) -> Verdict:
    """By default every neighbour, and nothing else, is held by an attempt of ours."""
    claimed = dict.fromkeys(neighbours, CLAIMED)
    return judge(doubt(), of, claimed, set(neighbours) if taken is None else taken)


def test_the_same_body_at_the_same_time_is_ours() -> None:
    assert found(reading(listed("theirs"), listed("ours", BODY))) == "ours"


def test_presence_waits_for_no_deadline() -> None:
    at_once = CLAIMED + timedelta(seconds=2)
    assert found(reading(listed("ours", BODY), made_at=at_once)) == "ours"


def test_what_the_server_filled_in_changes_nothing() -> None:
    filled_in = BODY | {"negative_prompt": "jitter", "resolution": "992x512"}
    assert found(reading(listed("ours", filled_in))) == "ours"


@pytest.mark.parametrize(
    "body",
    [
        BODY | {"seed": 8},
        BODY | {"prompt": "A dog"},
        {"prompt": "A cat", "seed": 7},
        {},
        None,
    ],
    ids=["another seed", "another prompt", "a key of ours is missing", "empty", "hidden"],
)
def test_another_body_is_not_ours(body: Mapping[str, Any] | None) -> None:
    assert found(reading(listed("theirs", body))) is None


def test_another_model_s_request_is_not_ours() -> None:
    assert found(reading(listed("theirs", BODY, model="fal-ai/ovi/image-to-video"))) is None


def test_a_request_that_another_attempt_holds_is_not_ours() -> None:
    assert found(reading(listed("held", BODY)), "held") is None
    assert found(reading(listed("held", BODY), listed("free", BODY)), "held") == "free"


def test_of_two_the_one_nearest_in_time_is_ours() -> None:
    """The attempt before was given up on the user's word, and had arrived all the same."""
    earlier, later = listed("earlier", BODY, after=-100), listed("later", BODY, after=200)
    assert found(reading(earlier, listed("ours", BODY, after=2), later)) == "ours"


@pytest.mark.parametrize("after", [-120.0, 0.0, 40.0, 120.0, 160.0])
def test_a_clock_that_nobody_told_us_about_hides_nothing(after: float) -> None:
    """Two minutes off, and a POST may take forty seconds to arrive."""
    assert found(reading(listed("ours", BODY, after=after))) == "ours"


@pytest.mark.parametrize("offset", [-3600.0, -120.0, 120.0, 3600.0])
def test_a_clock_we_know_of_is_corrected(offset: float) -> None:
    shown = listed("ours", BODY, after=offset + 1)
    assert found(reading(shown, clock_offset=offset)) == "ours"
    assert abs(offset) < 300 or found(reading(shown)) is None


@pytest.mark.parametrize("after", [-301.0, 301.0])
def test_the_same_request_at_another_time_is_not_adopted(after: float) -> None:
    assert found(reading(listed("theirs", BODY, after=after))) is None


def test_absence_is_proved_by_a_late_reading_that_shows_every_neighbour() -> None:
    assert verdict(reading(listed("a"), listed("b")), "a", "b") == "absent"


@pytest.mark.parametrize("early", [0, 1, 3600])
def test_a_reading_made_before_the_deadline_proves_nothing(early: float) -> None:
    """A request may wait in the queue while later ones run: the list would not show it."""
    made_at = DEADLINE - timedelta(seconds=early)
    assert verdict(reading(listed("a"), made_at=made_at), "a") == "waiting"


def test_without_a_neighbour_nobody_speaks_for_the_list() -> None:
    assert verdict(reading()) == "alone"
    assert verdict(reading(listed("theirs"))) == "alone"


def test_one_neighbour_missing_makes_the_list_worthless() -> None:
    """It lags, or it has lost an hour."""
    assert verdict(reading(), "a") == "waiting"
    assert verdict(reading(listed("a"), listed("c")), "a", "b") == "waiting"


def test_a_neighbour_is_there_whatever_its_input_shows() -> None:
    """It is known by its id: fal need not have kept what was asked."""
    assert verdict(reading(listed("a", None)), "a") == "absent"


@pytest.mark.parametrize(
    ("after", "expected"), [(1, "waiting"), (-299, "waiting"), (310, "absent")]
)
def test_a_stranger_of_that_time_that_shows_no_input_could_be_ours(
    after: float, expected: Verdict
) -> None:
    hidden = listed("stranger", None, after=after)
    assert verdict(reading(listed("a"), hidden), "a") == expected


def test_a_stranger_with_hidden_input_is_dated_by_fal_s_clock() -> None:
    hidden = listed("stranger", None, after=3601)
    assert verdict(reading(listed("a"), hidden, clock_offset=3600), "a") == "waiting"


@pytest.mark.parametrize("after", [-3600.0, 301.0, 7200.0])
def test_our_very_body_at_another_time_speaks_against_absence(after: float) -> None:
    """Not enough to adopt it, too much to pay once more: a clock may be that far off."""
    twin = listed("stranger", BODY, after=after)
    assert verdict(reading(listed("a"), twin), "a") == "waiting"
    assert verdict(reading(listed("a"), twin), "a", taken={"a", "stranger"}) == "absent"


HOURS = [-10_800.0, 10_800.0]


@pytest.mark.parametrize("then", HOURS)
def test_a_clock_that_was_set_since_does_not_hide_it(then: float) -> None:
    """Three hours wrong when it was sent, right when the list is read: a neighbour shows it."""
    ours, neighbour = listed("ours", BODY, after=then + 1), listed("a", after=then + 5)
    assert present(doubt(), reading(ours), {}, ()) is None
    assert present(doubt(), reading(ours, neighbour), {"a": CLAIMED}, {"a"}) == ours


@pytest.mark.parametrize("then", HOURS)
def test_a_list_with_a_clock_of_its_own_does_not_hide_it(then: float) -> None:
    """`Date` comes from another machine, and agrees with us."""
    ours, neighbour = listed("ours", BODY, after=then + 1), listed("a", after=then + 5)
    at_once = reading(ours, neighbour, made_at=CLAIMED + timedelta(seconds=9))
    assert present(doubt(), at_once, {"a": CLAIMED}, {"a"}) == ours


def test_a_clock_that_was_put_forward_does_not_bring_the_deadline_nearer() -> None:
    """It was three hours slow; set right, it is past a deadline that is hours away."""
    neighbour = listed("a", after=10_800 + 5)
    set_right = CLAIMED + timedelta(hours=3, seconds=9)
    assert verdict(reading(neighbour, made_at=set_right), "a") == "waiting"
    much_later = DEADLINE + timedelta(hours=3, seconds=9)
    assert verdict(reading(neighbour, made_at=much_later), "a") == "absent"


def test_a_clock_that_is_wrong_all_the_time_changes_nothing() -> None:
    neighbour = listed("a", after=10_800)
    assert verdict(reading(neighbour, clock_offset=10_800), "a") == "absent"
