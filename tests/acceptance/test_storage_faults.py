"""What goes wrong where videos are kept: none is lost, none is made anew, and it is told why."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from tests.acceptance.conftest import World, cats
from tests.parts.command import Finished, Running
from tests.parts.s3_trouble import TroubledS3
from tests.parts.waiting import wait_until

STILL_AT_FAL = r"{} still at fal, which keeps their results until \d\d:\d\d at least"
STANDS = ("archived", "failed", "in_doubt", "remaining")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A world whose archive is a prefix of a bucket, behind a server that can go wrong."""

    world: World
    s3: TroubledS3
    bucket: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/reels"

    def run(self) -> Finished:
        return self.start().finish()

    def start(self) -> Running:
        arguments = ("--archive", self.uri, "--max-in-flight=2")
        return self.world.start("cats.csv", *arguments, environment=self.s3.environment)

    def keys(self, ending: str = ".mp4") -> list[str]:
        """Every key with this ending, below the batch's folder and without it."""
        keys = self.s3.weed.keys(self.bucket, "reels/cats/cat-")
        return [key[len("reels/cats/") : -len(ending)] for key in keys if key.endswith(ending)]

    def holds(self, count: int) -> bool:
        """Whether the first takes of so many rows lie there, each with its sidecar."""
        takes = sorted(f"cat-{n}/take-1" for n in range(1, count + 1))
        return self.keys(".mp4") == takes == self.keys(".json")


@pytest.fixture
def kept(world: World, troubled_s3: TroubledS3) -> Kept:
    return Kept(world=world, s3=troubled_s3, bucket=troubled_s3.weed.new_bucket())


def test_passing_troubles_of_s3_cost_nothing(kept: Kept) -> None:
    """Throttled, stored but not told so, cut off in mid-body, told that it is there already."""
    kept.s3.break_("503 SlowDown", of="cat-1/", times=2)
    kept.s3.break_("500 InternalError", of="cat-2/take-1.mp4", stored=True, times=1)
    kept.s3.break_("reset", of="cat-3/", times=1)
    kept.s3.break_("reset", of="cat-4/", stored=True, times=1)
    kept.s3.break_("412 PreconditionFailed", of="cat-5/take-1.mp4", stored=True, times=1)
    kept.world.write("cats.csv", cats(5))
    done = kept.run()
    assert (done.code, done.json["archived"], done.json["spent_usd"]) == (0, 5, "1.00"), done.text
    assert all(trouble.strikes for trouble in kept.s3.troubles)
    assert kept.holds(5)
    assert (kept.world.accepted, kept.world.paid_twice) == (5, 0)
    assert "warning" not in done.stderr


REFUSALS: list[tuple[str, dict[str, object], str]] = [
    ("404 NoSuchBucket", {"of": "", "any_method": True, "after": 8}, "does not exist"),
    ("507 InsufficientStorage", {}, "is full"),
    ("403 ExpiredToken", {}, "The AWS session has expired"),
]


@pytest.mark.slow
def test_an_archive_that_refuses_in_mid_run_stops_the_buying(kept: Kept) -> None:
    """What is made waits at fal, and the report says until when; nothing is generated anew."""
    kept.world.write("cats.csv", cats(12))
    for answer, rule, sentence in REFUSALS:
        kept.s3.break_(answer, **rule)
        stopped = kept.run()
        kept.s3.mend()
        assert (stopped.code, stopped.json["stopped"]) == (4, "archive"), stopped.text
        assert re.search(rf"Stopped: archive \(.*{sentence}.*\w\)\. ", stopped.stderr), stopped.text
        paid, archived = kept.world.accepted, stopped.json["archived"]
        assert archived <= len(kept.keys()) < paid < 12
        assert [stopped.json[name] for name in ("failed", "in_doubt")] == [0, 0]
        assert re.search(STILL_AT_FAL.format(paid - archived), stopped.stderr), stopped.text

    done = kept.run()
    assert (done.code, done.json["archived"], kept.holds(12)) == (0, 12, True), done.text
    assert (kept.world.accepted, kept.world.paid_twice) == (12, 0)


def test_a_video_that_s3_keeps_failing_is_named_and_waits_at_fal(kept: Kept) -> None:
    """No refusal, so it is tried on until a person interrupts; then, what made it wait."""
    trouble = kept.s3.break_("400 BadDigest", of="cat-2/")
    kept.world.write("cats.csv", cats(3))
    running = kept.start()
    wait_until(lambda: len(kept.keys()) == 2, description="the others are archived")
    wait_until(lambda: trouble.strikes, description="one was not", timeout_seconds=60)
    running.interrupt()
    left = running.finish()
    assert (left.code, left.json["stopped"]) == (4, "interrupted"), left.text
    assert [left.json[name] for name in STANDS] == [2, 0, 0, 1]
    assert f"1 made, but not archived yet: {kept.uri} answered BadDigest" in left.stderr
    assert re.search(STILL_AT_FAL.format(1), left.stderr), left.text
    status = kept.world.command("status", "cats")
    assert f"1 made, but not archived yet: {kept.uri} answered BadDigest" in status.stdout

    kept.s3.mend()
    done = kept.run()
    assert (done.code, done.json["archived"], done.json["spent_usd"]) == (0, 3, "0.00"), done.text
    assert (kept.world.accepted, kept.world.paid_twice) == (3, 0)


def test_a_video_whose_name_is_taken_is_kept_beside_it(kept: Kept) -> None:
    """A 412 with another hash: what lies there is not ours to replace."""
    taken = "reels/cats/cat-1/take-1.mp4"
    kept.s3.weed.client.put_object(Bucket=kept.bucket, Key=taken, Body=b"somebody else's")
    kept.world.write("cats.csv", cats(1))
    done = kept.run()
    assert (done.code, done.json["archived"]) == (0, 1), done.text
    assert "warning: cats/cat-1/take-1.mp4 already holds another video" in done.stderr
    assert kept.s3.weed.read(kept.bucket, taken) == b"somebody else's"
    shown = kept.world.command("show", "cats", "cat-1", "--json").json["takes"][0]
    assert shown["video"].startswith(f"{kept.uri}/cats/cat-1/")
    assert shown["video"] != f"s3://{kept.bucket}/{taken}"
    key = shown["video"].removeprefix(f"s3://{kept.bucket}/")
    assert b"ftyp" in kept.s3.weed.read(kept.bucket, key)[:16]
    assert (kept.world.accepted, kept.world.paid_twice) == (1, 0)
