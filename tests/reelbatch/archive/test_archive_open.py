"""Opening an archive refuses what can be known to fail, and touches nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reelbatch.archive.open import open_archive
from reelbatch.errors import Permanent, Refused


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write anywhere; nobody may not."""
    if os.getuid() != 0:
        yield
        return
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A directory in a place that everyone may enter."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        os.chmod(name, 0o555)
        yield Path(name)
        os.chmod(name, 0o755)


def test_nothing_is_made_before_the_first_put(tmp_path: Path) -> None:
    """`plan` opens archives too, and writes nothing."""
    archive = open_archive(str(tmp_path / "new" / "archive"))
    archive.probe()
    assert archive.read("cats/batch.json") is None
    assert list(tmp_path.iterdir()) == []


def test_a_path_and_its_file_uri_are_one_archive(tmp_path: Path) -> None:
    place = tmp_path / "my archive"
    assert open_archive(str(place)).uri == place.as_uri()
    assert open_archive(place.as_uri()).uri == place.as_uri()
    assert open_archive(place.as_uri()).describe() == str(place)


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rerun from another folder must find the same archive."""
    monkeypatch.chdir(tmp_path)
    assert open_archive("./archive").uri == (tmp_path / "archive").as_uri()


def test_the_home_directory_may_be_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_archive("~/archive").uri == (tmp_path / "archive").as_uri()


@pytest.mark.parametrize("below", ["", "archive"])
def test_a_file_is_no_directory(tmp_path: Path, below: str) -> None:
    file = tmp_path / "archive.zip"
    file.write_bytes(b"")
    with pytest.raises(Refused, match=r"archive\.zip is not a directory"):
        open_archive(str(file / below))


@pytest.mark.parametrize("below", ["", "archive"])
def test_a_directory_that_may_not_be_written_to(read_only: Path, below: str) -> None:
    with as_nobody(), pytest.raises(Refused, match="may not be written to"):
        open_archive(str(read_only / below))


def test_a_directory_that_is_closed_later_refuses_for_good(read_only: Path) -> None:
    archive = open_archive(str(read_only.parent))
    with as_nobody(), pytest.raises(Permanent, match="Permission denied") as caught:
        archive.put(f"{read_only.name}/x.json", b"{}", "application/json")
    assert caught.value.error == "archive_refused"


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("s3://", "names no bucket"),
        ("s3:///prefix", "names no bucket"),
        ("s3://user:secret@bucket/x", "names no bucket"),
        ("gs://bucket/x", "gs:// is no archive that we know"),
        ("https://bucket.example/x", "https:// is no archive that we know"),
        ("file://server/share", "names another machine"),
    ],
)
def test_a_uri_that_names_no_archive(uri: str, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence) as caught:
        open_archive(uri)
    assert "secret" not in str(caught.value)


def test_a_prefix_that_climbs_is_refused() -> None:
    with pytest.raises(Refused, match="cannot be a key"):
        open_archive("s3://bucket/a/../b")


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return monkeypatch


def test_no_credentials(no_aws: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match=r"There are no AWS credentials for s3://bucket/x\. Set AWS_"):
        open_archive("s3://bucket/x")


def test_half_of_the_credentials(no_aws: pytest.MonkeyPatch) -> None:
    no_aws.setenv("AWS_ACCESS_KEY_ID", "AKIDHALF")
    with pytest.raises(Refused, match="PartialCredentialsError") as caught:
        open_archive("s3://bucket/x")
    assert "AKIDHALF" not in str(caught.value)


def test_a_profile_that_does_not_exist(no_aws: pytest.MonkeyPatch) -> None:
    no_aws.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(Refused, match="ProfileNotFound"):
        open_archive("s3://bucket/x")


def test_amazon_itself_needs_no_endpoint(no_aws: pytest.MonkeyPatch) -> None:
    no_aws.setenv("AWS_ACCESS_KEY_ID", "AKID")
    no_aws.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    archive = open_archive("s3://bucket/x/")
    assert archive.describe() == archive.uri == "s3://bucket/x"
    assert archive.uri_of("cats/a.mp4") == "s3://bucket/x/cats/a.mp4"


def test_amazons_console_shows_a_batch_and_other_stores_have_no_page(
    no_aws: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        no_aws.setenv(name, "nobody")
    page = open_archive("s3://reels/some prefix").page_of("cats")
    assert page == "https://console.aws.amazon.com/s3/buckets/reels?prefix=some%20prefix/cats/"
    no_aws.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    assert open_archive("s3://reels/some prefix").page_of("cats") is None
    assert open_archive(str(tmp_path)).page_of("cats") is None
