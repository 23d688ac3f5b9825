"""What a count says of the slots: the rule behind `--max-in-flight auto`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelbatch.run.window import Count, is_news, slots_in


def counted(
    in_flight: int, *, running: int, waiting: int | None = None, done: int = 0, silent: int = 0
) -> Count:
    """A count of all; `silent` gave no answer, the others wait unless it is said."""
    answered = in_flight - silent
    waiting = answered - running - done if waiting is None else waiting
    return Count(in_flight=in_flight, answered=answered, running=running, waiting=waiting)


@pytest.mark.parametrize(
    ("count", "known", "slots"),
    [
        (counted(80, running=40), None, 40),
        (counted(80, running=2), None, 2),
        (counted(80, running=2), 40, 2),
        (counted(80, running=80), None, 80),
        (counted(80, running=80), 40, 80),
        (counted(4, running=4), 40, 40),
        (counted(80, running=0), None, None),
        (counted(80, running=0), 40, None),
        (counted(80, running=20, done=20), None, 20),
        (counted(80, running=20, done=21), None, None),
        (counted(80, running=60, done=20), 40, 60),
        (counted(80, running=20, silent=40), None, 40),
        (counted(80, running=20, silent=41), None, None),
        (Count(in_flight=800, answered=200, running=100, waiting=100), None, 400),
        (Count(in_flight=800, answered=99, running=50, waiting=49), None, None),
        (Count(in_flight=0, answered=0, running=0, waiting=0), 40, None),
    ],
)
def test_the_slots_are_those_that_run_while_others_wait(
    count: Count, known: int | None, slots: int | None
) -> None:
    """Where none waits there may be more; where none runs, or few answer, nothing is learned."""
    assert slots_in(count, known) == slots


@given(st.integers(1, 5000), st.integers(0, 5000), st.integers(0, 5000) | st.none())
def test_a_count_never_shows_more_slots_than_it_saw_or_knew(
    in_flight: int, running: int, known: int | None
) -> None:
    """So whatever stands in front of ours, the window at most doubles."""
    running = min(running, in_flight)
    found = slots_in(counted(in_flight, running=running), known)
    assert found is None or 1 <= found <= max(running, known or 0)


@given(st.integers(1, 2000), st.integers(1, 4000))
def test_counting_again_and_again_comes_to_rest_at_twice_the_slots(slots: int, window: int) -> None:
    """From any window, in as many doublings as it takes; and it stays there."""
    known: int | None = None
    for _ in range(13):
        known = slots_in(counted(window, running=min(slots, window)), known)
        assert known is not None
        window = 2 * known
    assert known == slots


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        (None, 2, True),
        (2, 3, True),
        (2, 2, False),
        (40, 43, False),
        (40, 45, True),
        (40, 30, True),
        (40, None, False),
        (None, None, False),
    ],
)
def test_only_a_change_beyond_chance_is_news(
    before: int | None, after: int | None, news: bool
) -> None:
    assert is_news(before, after) is news
