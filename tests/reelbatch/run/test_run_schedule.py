"""When to ask is learned: about one in five first looks comes too early, so we know how late."""

from __future__ import annotations

import math
from random import Random

import pytest

from reelbatch.run.run_times import RunTimes
from reelbatch.run.schedule import Schedule
from tests.reelbatch.run.simulated_fal import Outcome, drive
from tests.reelbatch.run.virtual_time import run_ahead

SLOTS, WINDOW, JOBS = 40, 80, 2000
RUN_SECONDS = 60.0


@pytest.fixture(scope="module")
def alike() -> Outcome:
    """A minute each, give or take two seconds."""
    dice = Random(1)
    seconds = [dice.gauss(RUN_SECONDS, 2) for _ in range(JOBS)]
    return run_ahead(drive(seconds, slots=SLOTS, window=WINDOW))


@pytest.fixture(scope="module")
def unlike() -> Outcome:
    """Log-normal around a minute: some take half, some twice as long."""
    dice = Random(2)
    seconds = [dice.lognormvariate(math.log(RUN_SECONDS), 0.4) for _ in range(JOBS)]
    return run_ahead(drive(seconds, slots=SLOTS, window=WINDOW))


def test_alike_jobs_cost_at_most_one_and_a_half_calls_each(alike: Outcome) -> None:
    assert alike.calls_a_job <= 1.5


def test_unlike_jobs_cost_at_most_two_calls_each(unlike: Outcome) -> None:
    assert unlike.calls_a_job <= 2.0


def test_about_one_first_look_in_five_is_early(alike: Outcome, unlike: Outcome) -> None:
    assert 0.05 < alike.early < 0.35
    assert 0.05 < unlike.early < 0.35


def test_alike_jobs_are_seen_within_a_tenth_of_a_run(alike: Outcome) -> None:
    assert alike.median_lateness < 0.1 * RUN_SECONDS


def test_unlike_jobs_are_seen_within_half_a_run(unlike: Outcome) -> None:
    assert unlike.median_lateness < 0.5 * RUN_SECONDS


def test_a_known_run_time_spares_looks_at_the_first_job() -> None:
    """Who knows how long it takes goes slowly while it cannot be over yet."""
    ignorant = run_ahead(drive([RUN_SECONDS], slots=1, window=1))
    knowing = run_ahead(drive([RUN_SECONDS], slots=1, window=1, known_seconds=RUN_SECONDS))
    assert knowing.calls_a_job < ignorant.calls_a_job


def test_jobs_that_become_slower_are_not_asked_about_all_the_time() -> None:
    seconds = [RUN_SECONDS] * 400 + [2 * RUN_SECONDS] * 400
    assert run_ahead(drive(seconds, slots=SLOTS, window=WINDOW)).calls_a_job <= 2.5


@pytest.mark.parametrize(("done", "slots"), [("first", 2), ("last", None)])
def test_what_ends_before_its_turn_shows_more_slots(done: str, slots: int | None) -> None:
    """Of four and two slots, the last could only begin when the first had ended."""
    schedule: Schedule[str] = Schedule(RunTimes(), slots=2)
    schedule.run_times.add(RUN_SECONDS)
    for name in ("first", "second", "third", "last"):
        schedule.accepted(name, 0.0, 0.0)
    schedule.completed(done, RUN_SECONDS + 1, RUN_SECONDS)
    assert schedule.slots == slots
