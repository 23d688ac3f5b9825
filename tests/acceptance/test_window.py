"""`--max-in-flight auto`, the default, as a person meets it."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import World, cats

pytestmark = pytest.mark.slow

SLOTS, ROWS = 30, 110


def test_a_run_finds_fals_slots_and_the_next_plan_goes_by_them(world: World) -> None:
    """It begins with eighty at fal, sees how many of them run, and goes on with twice as many."""
    world.fal.set(concurrency=SLOTS, service_seconds=5.0)
    world.write("cats.csv", cats(ROWS))
    done = world.run("cats.csv")
    assert (done.code, done.json["archived"], world.accepted) == (0, ROWS, ROWS), done.text
    world.write("dogs.csv", cats(ROWS).replace("cat", "dog"))
    planned = world.command("plan", "dogs.csv", "--json")
    (found,) = planned.json["hours"]
    assert int(found) in range(SLOTS // 2, 2 * SLOTS), planned.text
    assert f"at {found} slots (as fal last gave this account)" in planned.stderr
    assert f"fal last gave this account {found} slots" in done.stderr
    assert f"fal last gave this account {found} slots" in world.command("status", "cats").stdout
