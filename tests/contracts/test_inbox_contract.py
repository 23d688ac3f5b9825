"""What every inbox promises: a folder, moto, and SeaweedFS (a real S3 server)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reelbatch.archive.inbox import FolderDoor, Inbox, open_inbox
from reelbatch.errors import Permanent, Refused

CATS = b"prompt\nA cat\n"
DOGS = b"prompt\nA dog\n"


@dataclass(frozen=True, kw_only=True)
class Place:
    """An inbox, and somebody who drops files into it and looks what is there."""

    inbox: Inbox
    drop: Callable[[str, bytes], None]
    files: Callable[[], dict[str, bytes]]


@pytest.fixture(params=["folder", "moto_s3", "weed"])
def place(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Place]:
    monkeypatch.setattr("reelbatch.archive.inbox.BETWEEN_LOOKS_SECONDS", 0.01)
    if request.param == "folder":
        yield in_folder(tmp_path)
        return
    server: Any = request.getfixturevalue(request.param)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    yield in_bucket(server.client, server.new_bucket())


def in_folder(folder: Path) -> Place:
    def drop(name: str, content: bytes) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        an_hour_ago = time.time() - 3600
        os.utime(folder / name, (an_hour_ago, an_hour_ago))

    def files() -> dict[str, bytes]:
        found = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in found}

    return Place(inbox=open_inbox(str(folder)), drop=drop, files=files)


def in_bucket(client: Any, bucket: str) -> Place:
    def drop(name: str, content: bytes) -> None:
        client.put_object(Bucket=bucket, Key=f"some/inbox/{name}", Body=content)

    def files() -> dict[str, bytes]:
        listed = client.list_objects_v2(Bucket=bucket).get("Contents", [])
        keys = [one["Key"] for one in listed]
        return {
            key.removeprefix("some/inbox/"): client.get_object(Bucket=bucket, Key=key)[
                "Body"
            ].read()
            for key in keys
        }

    return Place(inbox=open_inbox(f"s3://{bucket}/some/inbox"), drop=drop, files=files)


def test_only_manifests_that_lie_directly_in_it_have_arrived(place: Place) -> None:
    for name in ("cats.csv", "dogs.YAML", "owls.jsonl", "mice.xlsx", "bees.yml"):
        place.drop(name, CATS)
    for name in (".cats.csv", "cats.csv.part", "cats.csv.tmp", "lamp.png", "sub/cats.csv"):
        place.drop(name, CATS)
    wanted = {"cats.csv", "dogs.YAML", "owls.jsonl", "mice.xlsx", "bees.yml"}
    assert set(place.inbox.arrived()) == wanted


def test_another_content_has_another_stamp(place: Place) -> None:
    place.drop("cats.csv", CATS)
    before = place.inbox.arrived()
    assert place.inbox.arrived() == before
    place.drop("cats.csv", CATS + DOGS)
    assert place.inbox.arrived() != before


def test_what_is_filed_away_has_left_the_inbox(place: Place) -> None:
    place.drop("cats.csv", CATS)
    assert place.inbox.file_away("cats.csv", CATS, "done") == "done/cats.csv"
    assert place.files() == {"done/cats.csv": CATS}
    assert place.inbox.arrived() == {}


def test_filing_away_twice_is_filing_away_once(place: Place) -> None:
    """Two inboxes at once, or one that died before the original was gone."""
    place.drop("cats.csv", CATS)
    for _ in range(2):
        assert place.inbox.file_away("cats.csv", CATS, "done") == "done/cats.csv"
        assert place.files() == {"done/cats.csv": CATS}


def test_another_file_of_that_name_gets_a_number(place: Place) -> None:
    for content, key in ((CATS, "cats.csv"), (DOGS, "cats-2.csv"), (b"x", "cats-3.csv")):
        place.drop("cats.csv", content)
        assert place.inbox.file_away("cats.csv", content, "done") == f"done/{key}"
    assert place.files()["done/cats.csv"] == CATS


def test_a_report_lies_beside_what_was_rejected(place: Place) -> None:
    place.drop("cats.csv", CATS)
    place.inbox.file_away("cats.csv", CATS, "rejected", report=b"faults")
    assert place.files() == {"rejected/cats.csv": CATS, "rejected/cats.csv.faults.csv": b"faults"}


def test_what_has_come_under_its_name_meanwhile_stays(place: Place) -> None:
    place.drop("cats.csv", DOGS)
    place.inbox.file_away("cats.csv", CATS, "done")
    assert place.files() == {"done/cats.csv": CATS, "cats.csv": DOGS}


def test_a_file_that_grows_between_two_looks_has_not_arrived(tmp_path: Path) -> None:
    """Its time may say that it is old: some programs set it themselves."""
    folder = in_folder(tmp_path)
    folder.drop("cats.csv", CATS)
    assert set(FolderDoor(tmp_path, sleep=lambda _: None).arrived()) == {"cats.csv"}
    grows = FolderDoor(tmp_path, sleep=lambda _: folder.drop("cats.csv", CATS + DOGS))
    assert grows.arrived() == {}


def test_a_file_that_was_just_written_has_not_arrived(tmp_path: Path) -> None:
    (tmp_path / "cats.csv").write_bytes(CATS)
    assert FolderDoor(tmp_path, sleep=lambda _: None).arrived() == {}


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="There is no inbox"):
        open_inbox(str(tmp_path / "nowhere"))


def test_a_bucket_that_is_not_there_is_named(weed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in weed.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Permanent, match=r"s3://nobodys-bucket.* cannot be listed.*NoSuchBucket"):
        open_inbox("s3://nobodys-bucket/in").arrived()
