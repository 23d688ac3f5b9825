"""A submission whose answer was lost: found at fal, proved absent, or held. Never sent blindly."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from reelbatch.ledger import claims
from reelbatch.ledger.claims import Claimed
from tests.parts.emulator import Emulator
from tests.parts.waiting import async_wait_until
from tests.tasks.conftest import Studio
from tests.tasks.doubt_parts import (
    ARCHIVED,
    FELIX,
    HEADER,
    IN_DOUBT,
    NOTHING,
    TOM,
    as_if_later,
    lose_tom,
    past_its_deadline,
    reserved,
    run_to_its_end,
    wait_briefly,
)

Fault = tuple[str, dict[str, Any]]

ARRIVED: dict[str, Fault] = {
    "dropped": ("accept_then_drop", {}),
    "500 in JSON": ("json_error", {"status": 500, "accepted": True}),
    "408": ("json_error", {"status": 408, "accepted": True}),
    "409": ("json_error", {"status": 409, "accepted": True}),
    "nginx 502": ("nginx_error", {"status": 502, "accepted": True}),
    "nginx 504": ("nginx_error", {"status": 504, "accepted": True}),
    "garbled": ("garbled_answer", {}),
    "empty": ("empty_answer", {}),
    "no id": ("answer_without_id", {}),
}
LOST: dict[str, Fault] = {
    "dropped": ("drop_before_accept", {}),
    "500 in JSON": ("json_error", {"status": 500}),
    "408": ("json_error", {"status": 408}),
    "nginx 502": ("nginx_error", {"status": 502}),
    "nginx 504": ("nginx_error", {"status": 504}),
}


@pytest.fixture(autouse=True)
def short_waits(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_briefly(studio, monkeypatch)


@pytest.mark.parametrize("answer", ARRIVED)
async def test_what_arrived_is_found_and_made_with_one_payment(
    studio: Studio, fal: Emulator, answer: str
) -> None:
    fault, parameters = ARRIVED[answer]
    fal.break_(fault, with_=parameters)
    studio.write(HEADER, TOM)
    assert await run_to_its_end(studio) == {"tom": ARCHIVED}
    (attempt,) = studio.attempts("tom")
    assert (attempt["request_id"], attempt["cost_usd"]) == (
        fal.submissions()[0]["request_id"],
        Decimal("0.20"),
    )
    assert (studio.accepted, studio.videos(), reserved(studio)) == (
        *(1, ["cats/tom/take-1.mp4"], NOTHING),
    )


@pytest.mark.parametrize("answer", LOST)
async def test_what_never_arrived_is_held_until_its_deadline_and_then_sent_once_more(
    studio: Studio, fal: Emulator, answer: str
) -> None:
    fault, parameters = LOST[answer]
    fal.break_(fault, prompt="A cat", with_=parameters)
    studio.write(HEADER, TOM, FELIX)
    assert await run_to_its_end(studio) == {"tom": IN_DOUBT, "felix": ARCHIVED}
    assert (studio.calls["submit"], reserved(studio)) == (2, Decimal("0.20"))
    fal.mend()
    past_its_deadline(studio)
    assert await run_to_its_end(studio) == {"tom": ARCHIVED, "felix": ARCHIVED}
    first, second = studio.attempts("tom")
    assert (first["outcome"], first["cost_usd"]) == ("absent", NOTHING)
    assert (second["outcome"], second["cost_usd"]) == ("good", Decimal("0.20"))
    assert (studio.accepted, reserved(studio)) == (2, NOTHING)


async def test_a_post_that_is_never_answered_is_found_as_well(
    studio: Studio, fal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelbatch.fal.submit.GIVEN_UP_SECONDS", 0.3)
    fal.break_("accept_then_hang")
    studio.write(HEADER, TOM)
    assert await run_to_its_end(studio) == {"tom": ARCHIVED}
    assert (studio.accepted, len(studio.attempts("tom"))) == (1, 1)


async def test_a_post_that_our_own_death_kept_back_is_absent_once_its_deadline_is_past(
    studio: Studio, fal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the claim and the POST: the ledger cannot know that nothing left."""
    studio.write(HEADER, TOM, FELIX)
    async with studio.open() as run:
        tom = studio.job("tom")
        claims.claim(studio.ledger, tom["id"], tom["arguments"], run.terms(tom["endpoint_id"]))
    monkeypatch.setattr("reelbatch.ledger.answers.LATE", timedelta(0))
    assert await run_to_its_end(studio) == {"tom": IN_DOUBT, "felix": ARCHIVED}
    past_its_deadline(studio)
    assert await run_to_its_end(studio) == {"tom": ARCHIVED, "felix": ARCHIVED}
    assert [attempt["outcome"] for attempt in studio.attempts("tom")] == ["absent", "good"]
    assert studio.accepted == 2


async def test_a_post_whose_answer_our_own_death_kept_is_found(
    studio: Studio, fal: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the POST and the commit: accepted, and nobody wrote it down."""
    studio.write(HEADER, TOM)
    async with studio.open() as run:
        tom = studio.job("tom")
        claim = claims.claim(
            studio.ledger, tom["id"], tom["arguments"], run.terms(tom["endpoint_id"])
        )
        assert isinstance(claim, Claimed)
        await run.fal.submit(
            tom["endpoint_id"], tom["arguments"], token=claim.token, start_timeout_seconds=60
        )
    monkeypatch.setattr("reelbatch.ledger.answers.LATE", timedelta(0))
    assert await run_to_its_end(studio) == {"tom": ARCHIVED}
    assert (studio.accepted, len(studio.attempts("tom"))) == (1, 1)


async def test_a_list_that_lags_is_asked_again(studio: Studio, fal: Emulator) -> None:
    fal.break_("accept_then_drop")
    fal.break_("late_record", with_={"seconds": 0.6})
    studio.settings["in_doubt_grace"] = 30.0
    studio.write(HEADER, TOM)
    assert await run_to_its_end(studio) == {"tom": ARCHIVED}
    assert studio.accepted == 1
    assert studio.calls["history"] > 1


async def test_a_list_that_has_lost_an_hour_proves_nothing(studio: Studio, fal: Emulator) -> None:
    """felix ran in that hour too, and is not listed either."""
    await lose_tom(studio, fal, "accept_then_drop")
    fal.break_("lost_records")
    past_its_deadline(studio)
    assert (await run_to_its_end(studio))["tom"] is IN_DOUBT
    assert studio.accepted == 2
    fal.mend()
    assert (await run_to_its_end(studio))["tom"] is ARCHIVED
    assert studio.accepted == 2


async def test_a_list_that_shows_some_of_our_requests_only_proves_nothing(
    studio: Studio, fal: Emulator
) -> None:
    fal.break_("accept_then_drop", prompt="A cat")
    fal.break_("lost_records", prompt="A dog")
    fal.break_("lost_records", prompt="A cat")
    studio.write(HEADER, TOM, FELIX, "rex,A dog,3")
    await studio.make()
    past_its_deadline(studio)
    assert (await run_to_its_end(studio))["tom"] is IN_DOUBT
    assert studio.accepted == 3


async def test_without_a_neighbour_it_is_held(studio: Studio, fal: Emulator) -> None:
    """Alone in its quarter of an hour, nothing says whether the list was kept then."""
    fal.break_("drop_before_accept", prompt="A cat")
    studio.write(HEADER, TOM)
    await studio.make()
    as_if_later(studio.ledger, timedelta(minutes=40))
    studio.write(HEADER, TOM, FELIX)
    await studio.make()
    past_its_deadline(studio)
    assert (await run_to_its_end(studio))["tom"] is IN_DOUBT
    assert studio.calls["submit"] == 2


async def test_what_waits_in_the_queue_while_later_ones_run_is_not_absent(
    studio: Studio, fal: Emulator
) -> None:
    """fal lists what has started; this one is accepted, and stuck behind everybody else."""
    fal.break_("accept_then_drop", prompt="A cat")
    fal.break_("stuck", prompt="A cat")
    studio.write(HEADER, TOM, FELIX)
    assert await run_to_its_end(studio) == {"tom": IN_DOUBT, "felix": ARCHIVED}
    assert studio.accepted == 2


async def test_what_never_started_is_absent_once_fal_has_dropped_it(
    studio: Studio, fal: Emulator
) -> None:
    """The start timeout that it carried is over: it cannot run any more, and is not billed."""
    studio.settings["start_timeout"] = 1
    fal.break_("stuck", prompt="A cat")
    await lose_tom(studio, fal, "accept_then_drop")
    await async_wait_until(
        lambda: fal.state()["jobs"]["COMPLETED"] == 2, description="fal has dropped it"
    )
    fal.mend()
    past_its_deadline(studio)
    assert await run_to_its_end(studio) == {"tom": ARCHIVED, "felix": ARCHIVED}
    assert [attempt["outcome"] for attempt in studio.attempts("tom")] == ["absent", "good"]
    assert studio.accepted == 3


async def test_what_starts_late_is_found_late(studio: Studio, fal: Emulator) -> None:
    fal.set(concurrency=0)
    fal.break_("accept_then_drop")
    studio.write(HEADER, TOM)
    assert await run_to_its_end(studio) == {"tom": IN_DOUBT}
    fal.set(concurrency=8)
    assert await run_to_its_end(studio) == {"tom": ARCHIVED}
    assert studio.accepted == 1


async def test_defaults_that_the_server_filled_in_do_not_hide_it(
    studio: Studio, fal: Emulator
) -> None:
    fal.break_("accept_then_drop")
    fal.break_("record_defaults")
    studio.write(HEADER, TOM)
    assert await run_to_its_end(studio) == {"tom": ARCHIVED}
    assert studio.accepted == 1


@pytest.mark.parametrize("seconds", [-120, 120])
async def test_a_clock_two_minutes_off_does_not_hide_it(
    studio: Studio, fal: Emulator, seconds: float
) -> None:
    """Though fal's `Date` says nothing of it: the list has a clock of its own."""
    fal.break_("clock_offset", with_={"seconds": seconds})
    await lose_tom(studio, fal, "accept_then_drop")
    past_its_deadline(studio)
    assert await run_to_its_end(studio) == {"tom": ARCHIVED, "felix": ARCHIVED}
    assert studio.accepted == 2


async def test_it_is_found_behind_a_hundred_others(studio: Studio, fal: Emulator) -> None:
    """The list comes in pages of a hundred, newest end first: ours is on the last."""
    fal.set(concurrency=40, service_seconds=0.02)
    fal.break_("accept_then_drop", prompt="A cat")
    studio.write(HEADER, TOM)
    assert await studio.make() == {"tom": IN_DOUBT}
    studio.write(HEADER, TOM, *(f"row-{n},A dog no {n},{n}" for n in range(2, 103)))
    await studio.make()
    assert (await run_to_its_end(studio))["tom"] is ARCHIVED
    assert studio.accepted == 102


@pytest.mark.parametrize("deadline", ["before", "after"])
async def test_a_list_that_may_not_be_read_means_hold(
    studio: Studio, fal: Emulator, deadline: str
) -> None:
    await lose_tom(studio, fal, "accept_then_drop")
    if deadline == "after":
        past_its_deadline(studio)
    fal.break_("history_error", with_={"status": 403})
    assert (await run_to_its_end(studio))["tom"] is IN_DOUBT
    assert (studio.accepted, studio.calls["history"]) == (2, 1)
    assert reserved(studio) == Decimal("0.20")


@pytest.mark.parametrize("status", [429, 503])
async def test_a_list_that_fails_for_a_moment_is_read_again(
    studio: Studio, fal: Emulator, status: int
) -> None:
    await lose_tom(studio, fal, "accept_then_drop")
    past_its_deadline(studio)
    fal.break_("history_error", times=2, with_={"status": status})
    studio.settings["in_doubt_grace"] = 30.0
    assert await run_to_its_end(studio) == {"tom": ARCHIVED, "felix": ARCHIVED}
    assert studio.accepted == 2


async def test_a_list_that_hides_what_was_asked_proves_nothing(
    studio: Studio, fal: Emulator
) -> None:
    await lose_tom(studio, fal, "accept_then_drop")
    past_its_deadline(studio)
    fal.break_("record_without_input")
    assert (await run_to_its_end(studio))["tom"] is IN_DOUBT
    assert studio.accepted == 2


async def test_absence_shows_even_where_the_list_hides_what_was_asked(
    studio: Studio, fal: Emulator
) -> None:
    """All that it lists are requests of ours that we know by their ids."""
    await lose_tom(studio, fal)
    fal.mend()
    past_its_deadline(studio)
    fal.break_("record_without_input")
    assert await run_to_its_end(studio) == {"tom": ARCHIVED, "felix": ARCHIVED}
    assert studio.accepted == 2
