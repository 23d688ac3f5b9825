"""A storm is drawn from its seed, and draws on everything that can go wrong."""

from __future__ import annotations

import itertools

import pytest

from bench.storm import WINDS, Storm
from reelbatch.emulator.faults.plan import Rule
from reelbatch.emulator.faults.registry import FAULTS

FOR_EVER = {
    *("result_expired", "missing_video", "mute_video", "wrong_file_size", "corrupt_media"),
    "media_on_another_host",
}
OTHERWISE = {"lost_records", "price"}
"""Whole ranges are lost, in every storm; another price is no trouble."""


def test_the_same_seed_makes_the_same_storm_and_another_one_another() -> None:
    def plan(seed: int) -> object:
        storm = Storm(seed=seed, seconds=60)
        return storm.spells, storm.lost, list(itertools.islice(storm.blows(0), 20))

    assert plan(7) == plan(7)
    assert plan(7) != plan(8)


def test_every_fault_that_passes_is_in_the_storms() -> None:
    """A new fault of the emulator's finds its way in here, or into one of the exceptions."""
    blowing = {fault for winds in WINDS.values() for fault, _, _ in winds}
    assert blowing | FOR_EVER | OTHERWISE == set(FAULTS)


@pytest.mark.parametrize("seed", range(20))
def test_the_emulator_understands_every_rule(seed: int) -> None:
    storm = Storm(seed=seed, seconds=120)
    rules = [rule for spell in storm.spells for rule in (*spell.rules, storm.loss(1.0))]
    assert [Rule(**rule).fault for rule in rules] == [rule["fault"] for rule in rules]
