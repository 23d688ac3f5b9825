"""A submission whose answer was lost: found at fal, proved absent, or held. Never sent blindly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from reelbatch.jobs import State
from reelbatch.ledger import Ledger, claims
from reelbatch.ledger.claims import Claimed
from reelbatch.ledger.schema import accounts, attempts
from tasks.doubts import settled_doubts
from tests.parts.emulator import Emulator
from tests.parts.waiting import async_wait_until
from tests.tasks.conftest import Studio

HEADER = "id,prompt,seed"
TOM = "tom,A cat,1"
FELIX = "felix,Another cat,2"
NOTHING = Decimal(0)

IN_DOUBT, ARCHIVED, PENDING = State.IN_DOUBT, State.ARCHIVED, State.PENDING

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
    """Clocks: a run waits a fifth of a second for its doubts, and looks some times."""
    studio.settings["in_doubt_grace"] = 0.2
    monkeypatch.setattr("tasks.doubts.FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr("tasks.doubts.LONGEST_PAUSE_SECONDS", 0.05)


async def run_to_its_end(studio: Studio, **wishes: Any) -> dict[str, State]:
    """As the flow does it: produce, and again whenever a doubt was settled."""
    async with studio.open(**wishes) as run:
        await studio.produce(run)
        async for _ in settled_doubts(run):
            await studio.produce(run)
    return studio.states()


def as_if_later(ledger: Ledger, by: timedelta) -> None:
    """Everything that was submitted, and every deadline, was so much earlier."""
    with ledger.writing() as tx:
        for attempt in tx.execute(attempts.select()).mappings().all():
            moved = {name: attempt[name] - by for name in ("claimed_at", "deadline_at")}
            tx.execute(attempts.update().where(attempts.c.id == attempt["id"]).values(moved))


def past_its_deadline(studio: Studio, row_id: str = "tom") -> None:
    """Only its deadline is moved: the list still speaks of the same minutes."""
    studio.change_attempt(row_id, deadline_at=datetime.now(UTC) - timedelta(minutes=5))


def reserved(studio: Studio) -> Decimal:
    with studio.ledger.reading() as tx:
        return Decimal(tx.execute(accounts.select()).mappings().one()["reserved_usd"])


async def lose_tom(studio: Studio, fal: Emulator, fault: str = "drop_before_accept") -> None:
    """felix is made; nobody knows whether tom has arrived."""
    fal.break_(fault, prompt="A cat")
    studio.write(HEADER, TOM, FELIX)
    assert await studio.make() == {"tom": IN_DOUBT, "felix": ARCHIVED}


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


async def test_hold_never_sends_again_and_still_adopts(studio: Studio, fal: Emulator) -> None:
    await lose_tom(studio, fal)
    fal.mend()
    past_its_deadline(studio)
    assert (await run_to_its_end(studio, in_doubt="hold"))["tom"] is IN_DOUBT
    assert studio.accepted == 1
    fal.break_("accept_then_drop", prompt="A dog")
    studio.write(HEADER, TOM, FELIX, "rex,A dog,3")
    states = await run_to_its_end(studio, in_doubt="hold")
    assert (states["tom"], states["rex"], studio.accepted) == (IN_DOUBT, ARCHIVED, 2)


async def test_resubmit_sends_again_and_books_the_old_one_as_perhaps_paid(
    studio: Studio, fal: Emulator
) -> None:
    await lose_tom(studio, fal)
    fal.mend()
    assert (await run_to_its_end(studio, in_doubt="resubmit"))["tom"] is ARCHIVED
    old, new = studio.attempts("tom")
    assert (old["outcome"], old["cost_usd"], old["cost_basis"]) == (
        *("given_up", Decimal("0.20"), "maybe"),
    )
    assert (new["outcome"], new["cost_usd"]) == ("good", Decimal("0.20"))
    assert (studio.accepted, reserved(studio)) == (2, NOTHING)


async def test_resubmit_takes_what_the_list_shows_first(studio: Studio, fal: Emulator) -> None:
    """Nobody's word makes us pay for what is there; nor does a list that fails for a moment."""
    await lose_tom(studio, fal, "accept_then_drop")
    fal.mend()
    fal.break_("history_error", times=2, with_={"status": 503})
    studio.settings["in_doubt_grace"] = 30.0
    assert (await run_to_its_end(studio, in_doubt="resubmit"))["tom"] is ARCHIVED
    assert (studio.accepted, len(studio.attempts("tom"))) == (2, 1)


@pytest.mark.parametrize("status", [403, 503])
async def test_resubmit_is_a_word_even_where_no_list_can_be_read(
    studio: Studio, fal: Emulator, status: int
) -> None:
    await lose_tom(studio, fal)
    fal.mend()
    fal.break_("history_error", with_={"status": status})
    assert (await run_to_its_end(studio, in_doubt="resubmit"))["tom"] is ARCHIVED
    assert studio.accepted == 2


async def test_resubmit_is_about_what_was_in_doubt_when_the_run_began(
    studio: Studio, fal: Emulator
) -> None:
    """What it loses itself may wait in fal's queue, where no list shows it."""
    fal.set(concurrency=0)
    fal.break_("accept_then_drop")
    studio.write(HEADER, TOM)
    assert await run_to_its_end(studio, in_doubt="resubmit") == {"tom": IN_DOUBT}
    assert studio.accepted == 1
    fal.set(concurrency=8)
    assert await run_to_its_end(studio, in_doubt="resubmit") == {"tom": ARCHIVED}
    assert studio.accepted == 1


async def test_resubmit_sends_the_chosen_rows_only(studio: Studio, fal: Emulator) -> None:
    fal.break_("drop_before_accept")
    studio.write(HEADER, TOM, FELIX)
    await studio.make()
    fal.mend()
    states = await run_to_its_end(studio, in_doubt="resubmit", where=["id=felix"])
    assert states == {"tom": IN_DOUBT, "felix": ARCHIVED}
    assert studio.accepted == 1


async def test_a_twin_of_a_doubt_is_not_bought_meanwhile_and_served_after(
    studio: Studio, fal: Emulator
) -> None:
    """Two rows ask for the same to the letter: they are never at fal together."""
    fal.set(concurrency=0)
    fal.break_("accept_then_drop")
    studio.write(HEADER, TOM, "tim,A cat,1")
    states = await run_to_its_end(studio)
    assert sorted(states.values()) == [IN_DOUBT, PENDING]
    assert studio.accepted == 1
    fal.set(concurrency=8)
    assert set((await run_to_its_end(studio)).values()) == {ARCHIVED}
    assert (studio.accepted, len(studio.videos())) == (1, 2)


async def test_a_withdrawn_doubt_is_adopted_and_archived_as_well(
    studio: Studio, fal: Emulator
) -> None:
    """It may have been paid, whoever wants it now."""
    await lose_tom(studio, fal, "accept_then_drop")
    studio.write(HEADER, FELIX)
    assert await run_to_its_end(studio) == {"tom": ARCHIVED, "felix": ARCHIVED}
    assert (studio.accepted, "cats/tom/take-1.mp4" in studio.videos()) == (2, True)
