"""What every archive promises: a directory, moto, and SeaweedFS (a real S3 server)."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from reelbatch.archive.contract import SCRATCH, Archive, KeyTaken, Stored
from reelbatch.archive.open import open_archive
from reelbatch.errors import Permanent

KEY = "cats/row-1/take-1.mp4"
VIDEO = b"a video " * 1000
OTHER = b"another video " * 1000


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _keep(archive: Archive, content: bytes, key: str = KEY) -> Stored:
    return archive.put_once(key, content, sha256=_sha256(content), content_type="video/mp4")


@pytest.fixture(params=["directory", "moto_s3", "weed"])
def archive(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Archive]:
    if request.param == "directory":
        yield open_archive(str(tmp_path / "archive"))
        return
    server: Any = request.getfixturevalue(request.param)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    yield open_archive(f"s3://{server.new_bucket()}/some/prefix")


def test_what_is_put_once_is_read_back_and_held(archive: Archive) -> None:
    stored = _keep(archive, VIDEO)
    assert stored == Stored(key=KEY, uri=archive.uri_of(KEY))
    assert archive.read(KEY) == VIDEO
    assert archive.holds(KEY, _sha256(VIDEO))
    assert not archive.holds(KEY, _sha256(OTHER))


def test_the_same_bytes_again_are_success(archive: Archive) -> None:
    """After a crash nobody knows whether the put arrived; saying it again settles that."""
    _keep(archive, VIDEO)
    assert _keep(archive, VIDEO).already


def test_other_bytes_under_a_taken_key_change_nothing(archive: Archive) -> None:
    _keep(archive, VIDEO)
    with pytest.raises(KeyTaken, match=r"take-1\.mp4 already holds"):
        _keep(archive, OTHER)
    assert archive.read(KEY) == VIDEO


def test_of_many_writers_at_once_exactly_one_wins(archive: Archive) -> None:
    contents = [f"video {n}".encode() * 100 for n in range(8)]

    def outcome(content: bytes) -> bool:
        try:
            return not _keep(archive, content).already
        except KeyTaken:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(outcome, contents)) == 1
    assert archive.read(KEY) in contents


def test_a_missing_key_is_none_and_not_held(archive: Archive) -> None:
    assert archive.read("cats/batch.json") is None
    assert not archive.holds(KEY, _sha256(VIDEO))


def test_put_writes_anew(archive: Archive) -> None:
    """Sidecars, batch.json and the index may change; only media is written once."""
    archive.put("cats/batch.json", b"{}", "application/json")
    archive.put("cats/batch.json", b'{"a": 1}', "application/json")
    assert archive.read("cats/batch.json") == b'{"a": 1}'


def test_scratch_can_be_taken_away_and_nothing_else(archive: Archive) -> None:
    _keep(archive, VIDEO)
    _keep(archive, VIDEO, f"{SCRATCH}/probe.txt")
    assert archive.take_away_scratch("probe.txt")
    assert archive.read(f"{SCRATCH}/probe.txt") is None
    with pytest.raises(Permanent, match="cannot be a key"):
        archive.take_away_scratch(f"../{KEY}")
    assert archive.read(KEY) == VIDEO


def test_an_empty_file_is_a_file(archive: Archive) -> None:
    archive.put("cats/empty.csv", b"", "text/csv")
    assert archive.read("cats/empty.csv") == b""


def test_names_may_have_spaces_and_any_letters(archive: Archive) -> None:
    key = "süße Katzen/row #1 100%+?&/take-1 ~ ü.mp4"
    _keep(archive, VIDEO, key)
    assert archive.read(key) == VIDEO
    assert archive.holds(key, _sha256(VIDEO))


BAD_KEYS = ["", "/etc/passwd", "../x.mp4", "a/../../x.mp4", "a//b.mp4", "a/./b", "a/", "a\\b"]
BAD_KEYS += ["a\nb", "x" * 256, "/".join(["x" * 100] * 10)]


def test_a_key_that_could_leave_the_archive_is_refused(archive: Archive) -> None:
    def put_once(key: str) -> Stored:
        return _keep(archive, VIDEO, key)

    for use, key in itertools.product((archive.read, archive.uri_of, put_once), BAD_KEYS):
        with pytest.raises(Permanent, match="cannot be a key") as caught:
            use(key)
        assert caught.value.error == "archive_refused"


def test_it_can_be_opened_again_by_its_own_uri(archive: Archive) -> None:
    _keep(archive, VIDEO)
    again = open_archive(archive.uri)
    assert again.uri == archive.uri
    assert again.read(KEY) == VIDEO
    assert again.uri_of(KEY).startswith(again.uri)


def test_a_probe_of_a_good_archive_says_nothing_and_writes_nothing(archive: Archive) -> None:
    archive.probe()
    assert archive.read("reelbatch-probe") is None
