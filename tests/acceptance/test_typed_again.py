"""The same command, typed again after whatever happened: each job is made once."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import World, cats
from tests.acceptance.test_stopping import until_accepted

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("end", ["interrupted", "killed"])
def test_an_interrupted_fresh_is_carried_on_by_the_next(world: World, end: str) -> None:
    """It makes what is missing of it, and does not begin it once more."""
    world.write("cats.csv", cats(6))
    assert world.run("cats.csv").code == 0
    world.fal.set(concurrency=2, service_seconds=1.0)
    running = world.start("cats.csv", "--fresh", "--max-in-flight=2")
    until_accepted(world, 8)
    if end == "killed":
        running.kill()
        world.a_minute_passes()
    else:
        running.interrupt()
        assert running.finish().code == 4
    world.fal.set(concurrency=8, service_seconds=0.2)
    again = world.run("cats.csv", "--fresh")
    assert again.code in (0, 3), again.text
    assert again.json["archived"] + again.json["in_doubt"] == 6, again.text
    assert (world.accepted <= 12, world.paid_twice) == (True, 0)
    assert len(world.videos()) == 6 + again.json["archived"]


def test_one_manifest_under_two_names_at_once_is_paid_once_and_delivered_twice(
    world: World,
) -> None:
    world.fal.set(service_seconds=0.5)
    world.write("cats.csv", cats(5))
    both = [world.start("cats.csv", f"--batch={name}") for name in ("here", "there")]
    for done in [running.finish() for running in both]:
        assert (done.code, done.json["archived"]) == (0, 5), done.text
    assert (world.accepted, world.paid_twice) == (5, 0)
    assert len(world.videos("here")) == len(world.videos("there")) == 5
