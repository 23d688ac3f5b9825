"""Submissions in doubt by a person's wish, held or sent again; and those others wait for."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.parts.emulator import Emulator
from tests.tasks.conftest import Studio
from tests.tasks.doubt_parts import (
    ARCHIVED,
    FELIX,
    HEADER,
    IN_DOUBT,
    NOTHING,
    PENDING,
    TOM,
    lose_tom,
    past_its_deadline,
    reserved,
    run_to_its_end,
    wait_briefly,
)


@pytest.fixture(autouse=True)
def short_waits(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_briefly(studio, monkeypatch)


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
