"""fal refuses everything for a while: nothing is lost, and the same command finishes the rest."""

from __future__ import annotations

import re

import pytest

from tests.acceptance.conftest import World, cats

REFUSALS: dict[str, tuple[str, str, list[str]]] = {
    "an exhausted balance": (
        "locked",
        "locked",
        ["User is locked. Reason: Exhausted balance", "Top up your balance"],
    ),
    "a key taken back": (
        "unauthorized",
        "auth",
        ["invalid key credentials", "Check FAL_KEY"],
    ),
}
FROM_THE_FOURTH_ON = list(range(4, 100))


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_in_mid_batch_stops_the_buying_and_nothing_else(
    world: World, refusal: str
) -> None:
    """What is at fal comes home, though fal refuses some looks at it as well."""
    fault, stopped, said = REFUSALS[refusal]
    world.fal.break_(fault, nth=FROM_THE_FOURTH_ON)
    world.fal.break_("status_locked", first=1)
    world.write("cats.csv", cats(8))
    done = world.run("cats.csv", "--max-in-flight=4")
    assert (done.code, done.json["stopped"], done.json["failed"]) == (4, stopped, 0), done.text
    assert (world.accepted, done.json["archived"], done.json["remaining"]) == (3, 3, 5), done.text
    assert all(words in done.stderr for words in said), done.text

    world.fal.mend()
    again = world.run("cats.csv")
    assert (again.code, again.json["archived"], again.json["stopped"]) == (0, 8, None), again.text
    assert (world.accepted, world.paid_twice) == (8, 0)


def test_an_account_that_is_still_locked_is_asked_once_by_each_run(world: World) -> None:
    world.fal.lock(reason="Terms of service.")
    world.write("cats.csv", cats(4))
    assert world.run("cats.csv").json["stopped"] == "locked"
    looked = world.command("status", "cats").stdout
    assert "Parked: locked (User is locked. Reason: Terms of service), since 20" in looked
    assert re.search(r"asked again at \d\d:\d\d", looked), looked
    asked = world.fal.state()["calls"]["submit"]
    again = world.run("cats.csv")
    assert (again.code, again.json["stopped"], world.accepted) == (4, "locked", 0), again.text
    assert world.fal.state()["calls"]["submit"] == asked + 1
    assert "User is locked. Reason: Terms of service" in again.stderr, again.text
    assert "ask fal's support" in again.stderr


@pytest.mark.slow
def test_a_storm_of_lost_answers_is_sat_out_and_every_one_is_found(world: World) -> None:
    """All of them arrived: not one is sent again, though nobody could know."""
    world.fal.break_("nginx_error", times=4, with_={"status": 504, "accepted": True})
    world.write("cats.csv", cats(6))
    done = world.run("cats.csv", "--max-in-flight=1")
    assert (done.code, done.json["archived"], done.json["spent_usd"]) == (0, 6, "1.20"), done.text
    assert (world.accepted, world.paid_twice) == (6, 0)
