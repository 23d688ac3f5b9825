"""However a run ends, the next one carries on: nothing is paid twice, nothing is lost."""

from __future__ import annotations

import random
import re
import signal
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from reelbatch.cli.prefect_home import take_home
from reelbatch.cli.prefect_server import OwnServer
from tests.acceptance.conftest import SOON, World, cats
from tests.parts.waiting import wait_until

MARK = "REELBATCH_TEST_MARK"


def until_accepted(world: World, count: int) -> None:
    description = f"fal has accepted {count} submissions"
    wait_until(lambda: world.accepted >= count, description=description, timeout_seconds=60)


IN_PREFECT = {signal.SIGINT: "Cancelled", signal.SIGTERM: "Stopped"}
"""Cancelled is a person's word."""


@pytest.mark.parametrize("number", IN_PREFECT)
def test_the_first_signal_ends_the_run_and_the_next_run_carries_on(
    world: World, number: signal.Signals
) -> None:
    world.fal.set(concurrency=2, service_seconds=1.0)
    world.write("cats.csv", cats(8))
    running = world.start("cats.csv", "--max-in-flight=4")
    wait_until(lambda: world.videos(), description="a video is archived", timeout_seconds=60)
    running.process.send_signal(number)
    stopped = running.finish()
    assert (stopped.code, stopped.json["stopped"]) == (4, "interrupted"), stopped.text
    assert "Run again to carry on" in stopped.stderr
    assert re.search(r"which keeps their results until \d\d:\d\d", stopped.stderr), stopped.text
    assert "Traceback" not in stopped.stderr
    assert world.newest_flow_run()["state"]["name"] == IN_PREFECT[number]
    kept, paid = world.videos(), world.accepted
    assert stopped.json["archived"] == len(kept) < 8
    assert paid < 8
    again = world.run("cats.csv")
    assert (again.code, again.json["archived"], world.accepted) == (0, 8, 8), again.text
    assert world.paid_twice == 0
    assert set(kept) < set(world.videos())


def test_the_second_signal_leaves_at_once(world: World) -> None:
    """The first one waits for a POST that is never answered."""
    world.fal.break_("hang_before_accept")
    world.write("cats.csv", cats(1))
    running = world.start("cats.csv")
    calls = lambda: world.fal.state()["calls"].get("submit", 0)  # noqa: E731
    wait_until(calls, description="a POST is on the wire", timeout_seconds=60)
    running.interrupt()
    running.until_said("Once more to leave at once")
    running.interrupt()
    assert running.finish(timeout_seconds=10).code == 4


def contents(world: World) -> dict[Path, bytes]:
    return {video: video.read_bytes() for video in world.archive.rglob("*.mp4")}


MOMENTS: dict[str, Callable[[World], bool]] = {
    "all are in flight": lambda world: world.accepted == 8,
    "some are archived": lambda world: len(world.videos()) > 2,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_was_killed_is_carried_on(world: World, moment: str) -> None:
    world.fal.set(concurrency=4, service_seconds=0.5)
    world.write("cats.csv", cats(8))
    running = world.start("cats.csv", environment=SOON)
    wait_until(lambda: MOMENTS[moment](world), description=moment, timeout_seconds=60)
    running.kill()
    kept = contents(world)
    world.a_minute_passes()
    again = world.run("cats.csv", environment=SOON)
    assert (again.code, again.json["archived"]) == (0, 8), again.text
    assert (world.accepted, world.paid_twice) == (8, 0)
    assert kept.items() <= contents(world).items()


def test_runs_killed_at_any_time_never_pay_twice(world: World) -> None:
    world.fal.set(concurrency=8, service_seconds=0.1)
    world.write("cats.csv", cats(30))
    luck = random.Random(7)
    for goal in (luck.randrange(1, 12), luck.randrange(12, 24), 27):
        running = world.start("cats.csv", "--max-in-flight=6", environment=SOON)
        until_accepted(world, goal)
        running.kill()
        kept = contents(world)
        world.a_minute_passes()
    last = world.run("cats.csv", environment=SOON)
    assert (last.code, last.json["archived"], last.json["in_doubt"]) == (0, 30, 0), last.text
    assert (world.accepted, world.paid_twice) == (30, 0)
    assert kept.items() <= contents(world).items()


def test_a_post_that_was_on_the_wire_is_found_at_fal(world: World) -> None:
    """Killed between the POST and its answer, only fal's list knows whether it arrived."""
    world.fal.break_("accept_then_hang", prompt="A cat 1")
    world.write("cats.csv", cats(2))
    running = world.start("cats.csv")
    until_accepted(world, 2)
    wait_until(lambda: len(world.videos()) == 1, description="the other one is archived")
    running.kill()
    world.fal.mend()
    world.a_minute_passes()
    again = world.run("cats.csv")
    assert (again.code, again.json["archived"], again.json["spent_usd"]) == (0, 2, "0.20")
    assert (world.accepted, world.paid_twice) == (2, 0)


def marked(mark: str) -> list[int]:
    """Every live process that inherited this mark."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"{MARK}={mark}".encode() in environ.read_bytes():
                found.append(int(environ.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc here")
def test_nothing_of_ours_is_left_after_a_kill(world: World) -> None:
    """Neither Prefect's server nor the emulator."""
    mark = uuid4().hex
    world.command.use_own_prefect()
    world.write("cats.csv", cats(8))
    running = world.start("cats.csv", "--emulated", environment={MARK: mark})
    emulated = world.folder / "emulated" / "archive"
    videos = lambda: list(emulated.rglob("*.mp4"))  # noqa: E731
    wait_until(videos, description="a video is archived", timeout_seconds=90)
    assert len(marked(mark)) >= 3
    running.kill()
    wait_until(lambda: not marked(mark), description="all of them are gone", timeout_seconds=60)
    assert world.accepted == 0


def test_a_prefect_that_dies_changes_nothing(world: World, tmp_path: Path) -> None:
    """Neither what is archived nor the exit status, and the run still comes to its end.

    It dies before 80 % of the budget is reserved: nobody hears of that any more.
    """
    world.fal.set(concurrency=2, service_seconds=1.0)
    world.command.use_own_prefect()
    home = Path(world.command.environment["PREFECT_HOME"])
    prefect = OwnServer(take_home(home), world.command.environment)
    prefect.wait_ready()
    world.command.environment["PREFECT_API_URL"] = prefect.api_url
    world.write("cats.csv", cats(6))
    running = world.start("cats.csv", "--budget=1.20", "--max-in-flight=2")
    wait_until(lambda: world.videos(), description="a video is archived", timeout_seconds=60)
    prefect.stop()
    done = running.finish(timeout_seconds=90)
    assert (done.code, done.json["archived"], world.accepted) == (0, 6, 6), done.text
    assert "Traceback" not in done.stderr
