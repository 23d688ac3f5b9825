"""Videos and sidecars go straight into the bucket; whatever is not plain is left to boto3."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import RefreshableCredentials

from reelbatch.archive.contract import Archive
from reelbatch.archive.keeper import Keeper, open_keeper
from reelbatch.archive.open import open_archive
from reelbatch.archive.s3 import S3Archive
from reelbatch.archive.signed_puts import puts_for
from reelbatch.errors import Transient
from reelbatch.jobs import JobId
from tests.parts.s3_trouble import TroubledS3
from tests.parts.weed import Weed

JOB = JobId("job-1")
VIDEO = b"a video " * 1000
LARGE = b"a video " * 300_000
OTHER = b"another video " * 1000


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@asynccontextmanager
async def _keeper(archive: Archive) -> AsyncIterator[Keeper]:
    with ThreadPoolExecutor(2) as threads:
        async with open_keeper(archive, threads) as keeper:
            yield keeper


@pytest.fixture
def archive(weed: Weed, monkeypatch: pytest.MonkeyPatch) -> S3Archive:
    return _archive(weed, weed.environment, monkeypatch)


@pytest.fixture
def troubled(troubled_s3: TroubledS3, monkeypatch: pytest.MonkeyPatch) -> S3Archive:
    return _archive(troubled_s3.weed, troubled_s3.environment, monkeypatch)


def _archive(weed: Weed, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> S3Archive:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    opened = open_archive(f"s3://{weed.new_bucket()}/some/prefix")
    assert isinstance(opened, S3Archive)
    return opened


@pytest.fixture
def by_boto3(request: pytest.FixtureRequest) -> list[str]:
    """The puts that boto3 makes, by their last word."""
    name = "troubled" if "troubled" in request.fixturenames else "archive"
    archive: S3Archive = request.getfixturevalue(name)
    made: list[str] = []

    def note(request: Any, **_: Any) -> None:
        made.append(request.url.rpartition("/")[2])

    archive.client.meta.events.register("before-send.s3.PutObject", note)
    return made


@pytest.mark.parametrize("content", [VIDEO, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("key", ["cats/row-1.mp4", "cats/blå kjole +1%, (2)~'.mp4"])
async def test_a_video_goes_straight_into_the_bucket(
    archive: S3Archive, by_boto3: list[str], key: str, content: bytes
) -> None:
    async with _keeper(archive) as keeper:
        stored = await keeper.store_video(key, JOB, content, _sha256(content))
    assert (stored.key, stored.uri, stored.already) == (key, archive.uri_of(key), False)
    assert by_boto3 == []
    head = archive.client.head_object(
        Bucket=archive.bucket, Key=f"some/prefix/{key}", ChecksumMode="ENABLED"
    )
    assert head["ContentType"] == "video/mp4"
    assert archive.holds(key, _sha256(content))
    assert archive.read(key) == content


async def test_bytes_that_are_not_those_that_were_hashed_are_not_taken(archive: S3Archive) -> None:
    async with _keeper(archive) as keeper:
        with pytest.raises(Transient):
            await keeper.store_video("cats/1.mp4", JOB, VIDEO, _sha256(OTHER))
    assert archive.read("cats/1.mp4") is None


async def test_a_sidecar_may_be_written_anew(archive: S3Archive, by_boto3: list[str]) -> None:
    async with _keeper(archive) as keeper:
        for n in range(2):
            await keeper.put("cats/1.json", json.dumps(n).encode(), "application/json")
    assert archive.read("cats/1.json") == b"1"
    assert by_boto3 == []


async def test_the_same_video_again_is_success(archive: S3Archive) -> None:
    async with _keeper(archive) as keeper:
        await keeper.store_video("cats/1.mp4", JOB, VIDEO, _sha256(VIDEO))
        assert (await keeper.store_video("cats/1.mp4", JOB, VIDEO, _sha256(VIDEO))).already


async def test_another_video_under_a_taken_key_is_kept_beside_it(archive: S3Archive) -> None:
    async with _keeper(archive) as keeper:
        await keeper.store_video("cats/1.mp4", JOB, VIDEO, _sha256(VIDEO))
        stored = await keeper.store_video("cats/1.mp4", JOB, OTHER, _sha256(OTHER))
    assert stored.key == "cats/job-1.mp4"
    assert archive.read("cats/1.mp4") == VIDEO
    assert archive.read("cats/job-1.mp4") == OTHER


async def test_keys_already_taken_do_not_make_it_give_up(
    archive: S3Archive, by_boto3: list[str]
) -> None:
    async with _keeper(archive) as keeper:
        for _ in range(5):
            await keeper.store_video("cats/1.mp4", JOB, VIDEO, _sha256(VIDEO))
        by_boto3.clear()
        await keeper.store_video("cats/2.mp4", JOB, VIDEO, _sha256(VIDEO))
    assert by_boto3 == []


@pytest.mark.parametrize("answer", ["503 SlowDown", "400 RequestTimeout"])
@pytest.mark.parametrize("was_stored", [False, True])
async def test_after_any_other_answer_boto3_sees_to_it(
    troubled: S3Archive,
    troubled_s3: TroubledS3,
    by_boto3: list[str],
    answer: str,
    was_stored: bool,
) -> None:
    troubled_s3.break_(answer, times=1, stored=was_stored)
    async with _keeper(troubled) as keeper:
        stored = await keeper.store_video("cats/1.mp4", JOB, VIDEO, _sha256(VIDEO))
    assert stored.already == was_stored
    assert troubled.read("cats/1.mp4") == VIDEO
    assert by_boto3 == ["1.mp4"]


@pytest.mark.parametrize("content", [VIDEO, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("was_stored", [False, True])
async def test_a_connection_that_breaks_leaves_the_video_whole_and_there_once(
    troubled: S3Archive, troubled_s3: TroubledS3, content: bytes, was_stored: bool
) -> None:
    trouble = troubled_s3.break_("reset", times=1, stored=was_stored)
    async with _keeper(troubled) as keeper:
        stored = await keeper.store_video("cats/1.mp4", JOB, content, _sha256(content))
    assert trouble.strikes == 1
    assert stored.key == "cats/1.mp4"
    assert troubled.read("cats/1.mp4") == content


async def test_where_only_boto3_gets_through_it_is_left_to_it(
    troubled: S3Archive, troubled_s3: TroubledS3, by_boto3: list[str]
) -> None:
    async with _keeper(troubled) as keeper:
        for n in range(3):
            troubled_s3.break_("307 TemporaryRedirect", of=f"{n}.mp4", times=1)
            await keeper.store_video(f"cats/{n}.mp4", JOB, VIDEO, _sha256(VIDEO))
        await keeper.store_video("cats/3.mp4", JOB, VIDEO, _sha256(VIDEO))
    assert by_boto3 == ["0.mp4", "1.mp4", "2.mp4", "3.mp4"]


async def test_a_folder_is_kept_by_the_archive_itself(tmp_path: Path) -> None:
    archive = open_archive(str(tmp_path / "archive"))
    async with _keeper(archive) as keeper:
        await keeper.store_video("cats/1.mp4", JOB, VIDEO, _sha256(VIDEO))
        await keeper.put("cats/1.json", b"{}", "application/json")
    assert archive.read("cats/1.mp4") == VIDEO
    assert archive.read("cats/1.json") == b"{}"


@pytest.mark.parametrize(
    ("name", "value"),
    [("HTTP_PROXY", "http://proxy.example:3128"), ("AWS_CA_BUNDLE", "/there/is/none.pem")],
)
def test_where_only_boto3_knows_the_way_there_are_no_such_puts(
    archive: S3Archive, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    assert puts_for(archive) is not None
    monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert puts_for(archive) is None


async def test_credentials_that_end_are_fetched_again(archive: S3Archive, weed: Weed) -> None:
    fetched = []

    def fetch() -> dict[str, str]:
        fetched.append(1)
        return {
            "access_key": weed.access_key,
            "secret_key": weed.secret_key,
            "token": "",
            "expiry_time": "2999-01-01T00:00:00Z",
        }

    stale = {**fetch(), "expiry_time": "2020-01-01T00:00:00Z", "secret_key": "no longer good"}
    archive.credentials = RefreshableCredentials.create_from_metadata(
        metadata=stale, refresh_using=fetch, method="test"
    )
    async with _keeper(archive) as keeper:
        stored = await keeper.store_video("cats/1.mp4", JOB, VIDEO, _sha256(VIDEO))
    assert not stored.already
    assert len(fetched) == 2
