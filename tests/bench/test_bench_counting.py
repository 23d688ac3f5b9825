"""The count after a storm can tell good from bad: each rule on a made-up record of fal's."""

from __future__ import annotations

from typing import Any

import pytest

from bench.counting import score

GOOD, FAILED, CANCELLED, NEVER_STARTED = 200, 500, 499, 504


def sent(
    at: int, ended: int | None, status: int | None = None, prompt: str = "a kite"
) -> dict[str, Any]:
    """One accepted submission, in seconds of one minute."""
    return {
        "body": {"prompt": prompt},
        "status_code": status,
        "sent_at": f"2026-11-21T10:00:{at:02}Z",
        "ended_at": None if ended is None else f"2026-11-21T10:00:{ended:02}Z",
    }


@pytest.mark.parametrize("state", [(10, GOOD), (None, None), (30, FAILED)])
def test_asking_again_while_the_first_is_good_or_open_is_a_duplicate(
    state: tuple[int | None, int | None],
) -> None:
    counted = score([sent(1, *state), sent(20, 25, GOOD)], archived=["a kite"])
    assert (counted.accepted, counted.duplicates, counted.clean) == (2, 1, False)


@pytest.mark.parametrize("status", [FAILED, CANCELLED, NEVER_STARTED])
def test_asking_again_after_a_failure_is_none(status: int) -> None:
    counted = score([sent(20, 25, GOOD), sent(1, 10, status)], archived=["a kite"])
    assert (counted.accepted, counted.duplicates, counted.clean) == (2, 0, True)


def test_two_jobs_are_no_duplicates() -> None:
    kites = [sent(1, 5, GOOD), sent(2, 5, GOOD, prompt="two kites")]
    assert score(kites, archived=["a kite", "two kites"]).duplicates == 0


def test_a_good_video_that_nobody_has_is_lost() -> None:
    counted = score([sent(1, 5, GOOD), sent(2, 5, FAILED, prompt="two kites")], archived=[])
    assert (counted.lost, counted.archived, counted.clean) == (1, 0, False)


def test_a_job_held_in_doubt_is_not_lost_yet() -> None:
    counted = score([sent(1, 5, GOOD)], archived=[], in_doubt=["a kite"])
    assert (counted.lost, counted.in_doubt, counted.clean) == (0, 1, True)


def test_a_video_that_is_damaged_is_lost() -> None:
    counted = score([sent(1, 5, GOOD)], archived=["a kite"], damaged=["a kite"])
    assert (counted.lost, counted.clean) == (1, False)
