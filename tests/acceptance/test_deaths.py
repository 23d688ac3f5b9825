"""kill -9 between any two steps of a row's journey: run again, and each video is paid once.

Each moment is reached from outside, by holding still whatever comes next: a table of the
ledger, fal, or the archive. The same batch dies at one moment after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import make_url

from reelbatch.ledger.schema import attempts, jobs
from tests.acceptance.conftest import SOON, World, cats
from tests.parts.book import Book
from tests.parts.command import Running
from tests.parts.freezing import frozen
from tests.parts.waiting import wait_until
from tests.parts.weed import Weed

pytestmark = pytest.mark.slow


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A batch on its way, and everything a run of it meets."""

    world: World
    book: Book
    weed: Weed

    def start(self, *arguments: str) -> Running:
        return self.world.start("cats.csv", *arguments, environment=SOON)

    def until(self, **states: int) -> None:
        """Wait until so many jobs stand in each of these states."""
        wait_until(
            lambda: self.book.states() == Counter(states),
            description=f"the jobs stand at {states}",
            timeout_seconds=60,
        )

    def until_blocked(self) -> None:
        description = "the run waits for what the test holds"
        wait_until(self.book.is_waited_for, description=description, timeout_seconds=60)

    def until_called(self, what: str, times: int) -> None:
        wait_until(
            lambda: self.world.fal.state()["calls"].get(what, 0) >= times,
            description=f"fal has had {times} calls of {what}",
            timeout_seconds=60,
        )

    def videos(self) -> list[str]:
        return [key for key in self.weed.keys(self.weed.bucket, self.prefix) if ".mp4" in key]

    @property
    def prefix(self) -> str:
        return self.world.command.environment["REELBATCH_ARCHIVE"].rpartition("/")[2]


Moment = Callable[[Scene], AbstractContextManager[Running]]
"""Bring a run to this moment; what was held is let go once it is dead."""


@contextmanager
def before_the_attempt_is_committed(scene: Scene) -> Iterator[Running]:
    with scene.book.held(attempts):
        running = scene.start()
        scene.until_blocked()
        yield running


@contextmanager
def before_fal_reads_the_post(scene: Scene) -> Iterator[Running]:
    """fal takes it from its socket only when we are dead, if it left at all."""
    with ExitStack() as later:
        with scene.book.held(attempts):
            running = scene.start("--max-in-flight=1")
            scene.until_blocked()
            later.enter_context(frozen(scene.world.fal.process))
        wait_until(
            lambda: scene.book.states()["submitting"],
            description="the attempt is committed",
            timeout_seconds=60,
        )
        yield running


@contextmanager
def after_a_post_that_never_arrived(scene: Scene) -> Iterator[Running]:
    scene.world.fal.break_("hang_before_accept")
    posts = scene.world.fal.state()["calls"].get("submit", 0)
    running = scene.start("--max-in-flight=1")
    scene.until_called("submit", posts + 1)
    yield running
    scene.world.fal.mend()


@contextmanager
def after_a_post_that_arrived(scene: Scene) -> Iterator[Running]:
    scene.world.fal.break_("accept_then_hang")
    accepted = scene.world.accepted
    running = scene.start("--max-in-flight=1")
    wait_until(
        lambda: scene.world.accepted > accepted, description="fal has it", timeout_seconds=60
    )
    yield running
    scene.world.fal.mend()


@contextmanager
def before_the_request_id_is_committed(scene: Scene) -> Iterator[Running]:
    scene.world.fal.break_("slow_answer", with_={"seconds": 3.0})
    accepted = scene.world.accepted
    running = scene.start("--max-in-flight=1")
    wait_until(
        lambda: scene.world.accepted > accepted, description="fal has it", timeout_seconds=60
    )
    with scene.book.held(attempts):
        scene.until_blocked()
        yield running
    scene.world.fal.mend()


@contextmanager
def after_the_request_id(scene: Scene) -> Iterator[Running]:
    """fal accepts, and starts nothing."""
    scene.world.fal.set(concurrency=0)
    running = scene.start()
    scene.until(submitted=ROWS)
    yield running
    scene.world.fal.set(concurrency=8)


@contextmanager
def before_the_result_is_committed(scene: Scene) -> Iterator[Running]:
    with scene.book.held(attempts):
        running = scene.start()
        scene.until_blocked()
        yield running


@contextmanager
def during_the_put(scene: Scene) -> Iterator[Running]:
    """S3 reads it from its socket only when we are dead, if all of it left."""
    with ExitStack() as later:
        with before_the_result_is_committed(scene) as running:
            later.enter_context(frozen(scene.weed.process))
        wait_until(
            lambda: scene.book.hashed() == ROWS,
            description="all videos are about to be put",
            timeout_seconds=60,
        )
        yield running


@contextmanager
def during_the_download(scene: Scene) -> Iterator[Running]:
    scene.world.fal.break_("slow_media", with_={"seconds": 60.0})
    downloads = scene.world.fal.state()["calls"].get("media", 0)
    running = scene.start()
    scene.until_called("media", downloads + ROWS)
    yield running
    scene.world.fal.mend()


@contextmanager
def between_put_and_commit(scene: Scene) -> Iterator[Running]:
    with ExitStack() as later:
        with during_the_put(scene) as running:
            later.enter_context(scene.book.held(jobs))
        scene.until_blocked()
        assert scene.videos()
        yield running


ROWS = 5
JOURNEYS: dict[str, list[tuple[Moment, dict[str, int]]]] = {
    "on the way to fal": [
        (before_the_attempt_is_committed, {"pending": 5}),
        (before_fal_reads_the_post, {"submitting": 1, "pending": 4}),
        (after_a_post_that_never_arrived, {"in_doubt": 1, "submitting": 1, "pending": 3}),
        (after_a_post_that_arrived, {"in_doubt": 2, "submitting": 1, "pending": 2}),
        (before_the_request_id_is_committed, {"in_doubt": 3, "submitting": 1, "pending": 1}),
    ],
    "on the way home": [
        (after_the_request_id, {"submitted": 5}),
        (before_the_result_is_committed, {"submitted": 5}),
        (during_the_put, {"completed": 5}),
        (during_the_download, {"completed": 5}),
    ],
    "at the last step": [(between_put_and_commit, {"completed": 5})],
}
"""Where the run dies, and how that leaves the jobs."""


@pytest.fixture
def scene(world: World, postgres: str, weed: Weed) -> Iterator[Scene]:
    prefix = make_url(postgres).database
    world.command.environment |= weed.environment | {
        "REELBATCH_LEDGER": postgres,
        "REELBATCH_ARCHIVE": f"s3://{weed.bucket}/{prefix}",
    }
    world.write("cats.csv", cats(ROWS))
    with closing(Book(postgres)) as book:
        yield Scene(world=world, book=book, weed=weed)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("journey", JOURNEYS)
def test_a_batch_that_dies_at_every_step_is_made_in_the_end(scene: Scene, journey: str) -> None:
    for moment, left in JOURNEYS[journey]:
        with moment(scene) as running:
            running.kill()
        assert scene.book.states() == Counter(left), moment
        scene.book.a_minute_passes()
    last = scene.world.run("cats.csv", environment=SOON)
    assert (last.code, last.json["archived"], len(scene.videos())) == (0, ROWS, ROWS), last.text
    assert (scene.world.accepted, scene.world.paid_twice) == (ROWS, 0)


@pytest.mark.timeout(400)
def test_a_death_on_the_wire_heals_by_itself(world: World) -> None:
    """Nobody moves a clock: one POST had arrived, one had not, and the next run waits it out."""
    world.fal.break_("accept_then_hang", prompt="A cat 1")
    world.fal.break_("hang_before_accept", prompt="A cat 2")
    world.write("cats.csv", cats(3))
    running = world.start("cats.csv", environment=SOON)
    wait_until(
        lambda: world.videos() and world.fal.state()["calls"]["submit"] == 3,
        description="two are on the wire and the third is archived",
        timeout_seconds=60,
    )
    running.kill()
    world.fal.mend()
    again = world.run("cats.csv", environment=SOON)
    assert (again.code, again.json["archived"]) == (0, 3), again.text
    assert (world.accepted, world.paid_twice) == (3, 0)
