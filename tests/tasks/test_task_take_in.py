"""Which manifests an inbox rejects, which it leaves for later, and what it calls their batches."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reelbatch.archive.inbox import FolderDoor, Inbox, open_inbox
from reelbatch.archive.open import open_archive
from reelbatch.cli.ports import free_port
from reelbatch.config import read_settings
from reelbatch.errors import Permanent, Refused
from reelbatch.run.plan import Plan
from reelbatch.run.request import InboxRequest
from reelbatch.run.taken import Taken
from tasks.take_in import Arrival, each_taken_in, faults_of, is_another, planned
from tests.tasks.conftest import Studio

CATS = b"prompt,seed\nA cat,1\nA dog,2\n"


@pytest.fixture
def box(tmp_path: Path) -> Inbox:
    (tmp_path / "inbox").mkdir()
    return open_inbox(str(tmp_path / "inbox"))


def drop(folder: Path, name: str, content: bytes = CATS) -> Arrival:
    path = folder / "inbox" / name
    path.write_bytes(content)
    os.utime(path, (time.time() - 3600, time.time() - 3600))
    return Arrival(name=name, content=content)


async def plan_of(studio: Studio, box: Inbox, arrival: Arrival, **wishes: object) -> Plan:
    request = InboxRequest.model_validate({"inbox": "here", **wishes})
    settings = read_settings(**studio.fal.settings, archive=str(studio.archive))
    plan = await planned(arrival, request, box, settings, studio.ledger)
    assert plan is not None
    return plan


def test_a_batch_is_named_by_the_file_and_its_content() -> None:
    one = Arrival(name="Spring cats.v2.csv", content=CATS)
    assert one.batch == "Spring cats.v2-feaf01dc"
    assert Arrival(name="Spring cats.v2.csv", content=CATS + b"x,3\n").batch != one.batch


async def test_too_many_rows_are_a_fault_that_says_how_many(studio: Studio, box: Inbox) -> None:
    arrival = drop(studio.folder, "cats.csv")
    plan = await plan_of(studio, box, arrival)
    assert faults_of(plan, InboxRequest(inbox="here", max_rows=2)) == []
    (fault,) = faults_of(plan, InboxRequest(inbox="here", max_rows=1))
    assert "It has 2 rows; this inbox takes 1 at most." in fault.message


async def test_an_image_that_cannot_be_reached_now_is_no_reason_to_reject(
    studio: Studio, box: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens at that S3 endpoint: tonight the network is down."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "nobody")
    unreachable = b"prompt,image\nA cat,s3://lamps/cat.png\n"
    plan = await plan_of(studio, box, drop(studio.folder, "cats.csv", unreachable))
    with pytest.raises(Refused, match=r"s3://lamps/cat\.png"):
        faults_of(plan, InboxRequest(inbox="here"))
    both = unreachable + b",s3://lamps/dog.png\n"
    plan = await plan_of(studio, box, drop(studio.folder, "cats.csv", both))
    assert len(faults_of(plan, InboxRequest(inbox="here"))) == 2


async def test_a_file_that_has_gone_or_changed_since_is_another(studio: Studio, box: Inbox) -> None:
    arrival = drop(studio.folder, "cats.csv")
    assert not is_another(await plan_of(studio, box, arrival), arrival)
    drop(studio.folder, "cats.csv", CATS + b"A cow,3\n")
    assert is_another(await plan_of(studio, box, arrival), arrival)
    (studio.folder / "inbox/cats.csv").unlink()
    assert is_another(await plan_of(studio, box, arrival), arrival)


async def test_a_batch_that_the_ledger_has_is_carried_on_without_its_manifest(
    studio: Studio, box: Inbox
) -> None:
    """Its images may have gone since; what is paid is brought home all the same."""
    arrival = drop(studio.folder, "cats.csv")
    async with studio.open("inbox/cats.csv", batch=arrival.batch):
        pass
    settings = read_settings(**studio.fal.settings, archive=str(studio.archive))
    request = InboxRequest(inbox="here")
    assert await planned(arrival, request, box, settings, studio.ledger) is None


def patient(folder: Path, sleep: Callable[[float], None] = lambda _: None) -> Inbox:
    return Inbox(open_archive(str(folder / "inbox")), FolderDoor(folder / "inbox", sleep=sleep))


async def test_each_is_taken_once_however_many_there_are(studio: Studio, box: Inbox) -> None:
    """More than are taken at once; and one that comes while the others are at work."""
    names = [f"cats-{n}.csv" for n in range(6)]
    for name in names:
        drop(studio.folder, name)
    taken: list[str] = []

    async def take(arrival: Arrival) -> Taken:
        taken.append(arrival.name)
        if len(taken) == 1:
            drop(studio.folder, "late.csv")
        await asyncio.sleep(0)
        return Taken(name=arrival.name, outcome="stays", words="stays")

    found = await each_taken_in(patient(studio.folder), take)
    assert sorted(taken) == sorted([*names, "late.csv"])
    assert len(found) == 7


async def test_one_that_cannot_be_taken_in_does_not_keep_the_others_waiting(
    studio: Studio, box: Inbox
) -> None:
    for name in ("bad.csv", "good.csv"):
        drop(studio.folder, name)

    async def take(arrival: Arrival) -> Taken:
        if arrival.name == "bad.csv":
            raise Permanent("It broke.", error="broken")
        return Taken(name=arrival.name, outcome="done", words="made")

    found = await each_taken_in(patient(studio.folder), take)
    assert {str(one) for one in found} == {"bad.csv: stays: It broke.", "good.csv: made"}
