"""fal's clock, read off its answers."""

from __future__ import annotations

import httpx
import pytest

from reelbatch.fal.client import open_fal
from reelbatch.fal.clock import FalClock
from tests.reelbatch.fal.opened import real_settings

TEN = "Sat, 22 Aug 2026 10:00:00 GMT"
TEN_UNIX = 1787392800.0


def seen(clock: FalClock, date: str, at: float, took: float = 0.0) -> float:
    clock.observe(date, sent_at=at, received_at=at + took)
    return clock.offset_seconds


def test_an_unseen_clock_is_taken_for_ours() -> None:
    assert FalClock().offset_seconds == 0


def test_one_answer_tells_the_offset_to_half_a_second() -> None:
    """A Date is cut to the second; the travel time widens what it may have been."""
    assert seen(FalClock(), TEN, TEN_UNIX - 100) == pytest.approx(100.5)
    assert seen(FalClock(), TEN, TEN_UNIX - 101, took=2) == pytest.approx(100.5)


def test_more_answers_narrow_it() -> None:
    """fal is 100.1 s ahead: its second turns 0.9 s after ours did."""
    clock = FalClock()
    seen(clock, TEN, TEN_UNIX - 99.15)
    assert seen(clock, "Sat, 22 Aug 2026 10:00:01 GMT", TEN_UNIX - 99.05) == pytest.approx(
        100.1, abs=0.06
    )


def test_a_slow_answer_does_not_blur_what_is_known() -> None:
    clock = FalClock()
    before = seen(clock, TEN, TEN_UNIX)
    assert seen(clock, "Sat, 22 Aug 2026 10:00:09 GMT", TEN_UNIX, took=30) == before


def test_a_clock_that_was_set_is_learned_anew() -> None:
    clock = FalClock()
    seen(clock, TEN, TEN_UNIX)
    assert seen(clock, "Sat, 22 Aug 2026 11:00:00 GMT", TEN_UNIX) == pytest.approx(3600.5)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sat, 99 Aug 2026 10:00:00 GMT"])
def test_a_date_that_is_none_changes_nothing(date: str | None) -> None:
    clock = FalClock()
    clock.observe(date, sent_at=0, received_at=1)
    assert clock.offset_seconds == 0


@pytest.mark.parametrize("status", [200, 404, 503])
async def test_every_answer_counts(status: int) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json={"status": "COMPLETED"}, headers={"date": TEN})

    transport = httpx.MockTransport(handler)
    async with open_fal(real_settings(), transport=transport, now=lambda: TEN_UNIX - 60) as fal:
        await fal.check_key()
        assert fal.clock_offset_seconds == pytest.approx(60.5)
