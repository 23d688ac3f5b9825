"""The inbox: each manifest becomes one batch, exactly once, however often it dies."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.acceptance.conftest import World, cats
from tests.parts.book import Book
from tests.parts.command import Running
from tests.parts.waiting import wait_until
from tests.parts.weed import Weed

pytestmark = pytest.mark.slow
PROGRAM = """
import asyncio, json, sys
from flows.inbox import inbox
from reelbatch.run.request import InboxRequest

state = asyncio.run(inbox(InboxRequest(**json.loads(sys.argv[1])), return_state=True))
print(json.dumps([state.name, state.message]))
"""
AN_HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Mailroom:
    """An inbox, and the flow as a process of its own, as a worker would start it."""

    world: World
    place: str
    environment: dict[str, str] = field(default_factory=dict)
    started: list[Running] = field(default_factory=list)

    def start(self, **wishes: Any) -> Running:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps({"inbox": self.place, **wishes})],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.world.command.environment, **self.environment},
            cwd=self.world.folder,
            start_new_session=True,
        )
        self.started.append(Running(process=process))
        return self.started[-1]

    def ended(self, running: Running) -> tuple[str, str]:
        """The name of its final state, and what that says."""
        done = running.finish()
        assert done.code == 0, done.text
        name, message = json.loads(done.stdout.splitlines()[-1])
        return name, message

    def run(self, **wishes: Any) -> tuple[str, str]:
        return self.ended(self.start(**wishes))

    @property
    def folder(self) -> Path:
        return Path(self.place)

    def drop(self, name: str, content: str, *, age_seconds: float = AN_HOUR) -> None:
        """A file that was written so long ago."""
        path = self.folder / name
        path.write_text(content)
        os.utime(path, (time.time() - age_seconds, time.time() - age_seconds))

    def files(self) -> set[str]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)) for path in found}

    def states(self) -> Counter[str]:
        with closing(Book(self.world.ledger_url)) as book:
            return book.states()

    def videos(self) -> list[str]:
        """Every archived video, below its batch's folder."""
        return sorted(
            str(path.relative_to(self.world.archive)).partition("/")[2]
            for path in self.world.archive.rglob("*.mp4")
        )


@pytest.fixture
def mailroom(world: World) -> Iterator[Mailroom]:
    folder = world.folder / "inbox"
    folder.mkdir()
    room = Mailroom(world=world, place=str(folder))
    yield room
    for running in room.started:
        if running.process.poll() is None:
            running.kill()


def picture() -> bytes:
    drawn = BytesIO()
    Image.new("RGB", (96, 64), "orange").save(drawn, "PNG")
    return drawn.getvalue()


def test_sound_ones_are_made_bad_ones_rejected_and_half_written_ones_left_alone(
    mailroom: Mailroom,
) -> None:
    mailroom.drop("cats.csv", cats(2))
    mailroom.drop("bad.csv", "prompt,seed\nA cat,abc\nA dog,x\n")
    mailroom.drop("being-written.csv", cats(1), age_seconds=-AN_HOUR)
    mailroom.drop("half.csv.part", cats(1))
    mailroom.drop(".hidden.csv", cats(1))
    name, message = mailroom.run()
    assert name == "PartlyFailed", message
    assert "cats.csv: 2 of 2 archived; $0.40 spent." in message
    assert "bad.csv: rejected, 2 faults" in message
    assert mailroom.files() == {
        "done/cats.csv", "rejected/bad.csv", "rejected/bad.csv.faults.csv",
        "being-written.csv", "half.csv.part", ".hidden.csv",
    }  # fmt: skip
    with (mailroom.folder / "rejected/bad.csv.faults.csv").open(encoding="utf-8-sig") as file:
        faults = list(csv.DictReader(file))
    assert [one["line"] for one in faults] == ["2", "3"]
    assert {one["code"] for one in faults} == {"seed-not-integer"}
    assert mailroom.world.accepted == 2
    assert mailroom.run() == ("Completed", "Nothing to do.")


def test_one_that_dies_in_mid_run_is_carried_on_by_the_next(mailroom: Mailroom) -> None:
    mailroom.world.fal.set(concurrency=0)
    mailroom.drop("cats.csv", cats(4))
    running = mailroom.start()
    wait_until(
        lambda: mailroom.states() == Counter(submitted=4),
        description="all four are at fal",
        timeout_seconds=60,
    )
    running.kill()
    assert mailroom.files() == {"cats.csv"}
    mailroom.world.fal.set(concurrency=8)
    assert mailroom.run() == ("Completed", "cats.csv: 4 of 4 archived; $0.80 spent.")
    assert (mailroom.files(), mailroom.world.accepted) == ({"done/cats.csv"}, 4)
    assert mailroom.videos() == [f"cat-{n}/take-1.mp4" for n in range(1, 5)]


def test_what_was_made_before_is_not_paid_again_and_nothing_filed_is_overwritten(
    mailroom: Mailroom,
) -> None:
    """One that died before its original was gone; one that was corrected under its old name."""
    mailroom.drop("cats.csv", cats(2))
    mailroom.drop("dogs.csv", cats(2).replace("cat", "dog"))
    mailroom.run()
    mailroom.drop("cats.csv", cats(2))
    mailroom.drop("dogs.csv", cats(3).replace("cat", "dog"))
    name, message = mailroom.run()
    assert name == "Completed", message
    assert "cats.csv: 2 of 2 archived; $0.00 spent." in message
    assert "dogs.csv: 3 of 3 archived; $0.20 spent." in message
    assert mailroom.files() == {"done/cats.csv", "done/dogs.csv", "done/dogs-2.csv"}
    assert (mailroom.world.accepted, mailroom.world.paid_twice) == (5, 0)


def test_two_inboxes_at_once_make_each_manifest_once(mailroom: Mailroom) -> None:
    mailroom.world.fal.set(concurrency=2)
    mailroom.drop("cats.csv", cats(4))
    mailroom.drop("more.csv", cats(6).replace("cat-", "more-").replace("A cat", "One more"))
    for running in [mailroom.start(), mailroom.start()]:
        name, message = mailroom.ended(running)
        assert name == "Completed", message
    assert (mailroom.world.accepted, mailroom.world.paid_twice) == (10, 0)
    assert mailroom.files() == {"done/cats.csv", "done/more.csv"}
    assert len(mailroom.videos()) == 10


def test_a_batch_that_stopped_early_stays_and_is_carried_on(mailroom: Mailroom) -> None:
    mailroom.drop("cats.csv", cats(3))
    name, message = mailroom.run(budget_usd="0.45")
    assert (name, mailroom.files()) == ("Stopped", {"cats.csv"}), message
    assert message.startswith("cats.csv: stays (budget): 2 of 3 archived, 1 to do"), message
    assert mailroom.run() == ("Completed", "cats.csv: 3 of 3 archived; $0.20 spent.")
    assert (mailroom.files(), mailroom.world.accepted) == ({"done/cats.csv"}, 3)


def test_a_bucket_is_an_inbox_too(world: World, weed: Weed) -> None:
    """The image lies beside the manifest, which is run where it arrived."""
    bucket = weed.new_bucket()
    for key, content in (
        ("in/lamps.csv", b"id,prompt,image\nlamp,A lamp,images/lamp.png\n"),
        ("in/bad.csv", b"prompt,seed\nA cat,abc\n"),
        ("in/images/lamp.png", picture()),
        ("in/notes.docx", b"not a manifest"),
    ):
        weed.client.put_object(Bucket=bucket, Key=key, Body=content)
    room = Mailroom(world=world, place=f"s3://{bucket}/in", environment=weed.environment)
    name, message = room.run()
    assert name == "PartlyFailed", message
    assert "lamps.csv: 1 of 1 archived; $0.20 spent." in message
    assert weed.keys(bucket, "in/") == [
        "in/done/lamps.csv", "in/images/lamp.png", "in/notes.docx",
        "in/rejected/bad.csv", "in/rejected/bad.csv.faults.csv",
    ]  # fmt: skip
