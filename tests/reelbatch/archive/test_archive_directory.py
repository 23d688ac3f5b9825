"""A directory shows every file whole or not at all, whatever happens while it is written."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reelbatch.archive.contract import Archive, KeyTaken
from reelbatch.archive.open import open_archive
from reelbatch.errors import Permanent, Transient

KEY = "cats/row-1/take-1.mp4"
VIDEO = b"a video " * 1000
SHA256 = hashlib.sha256(VIDEO).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Archive:
    return open_archive(str(tmp_path / "archive"))


def _files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.rglob("*") if path.is_file())


def test_no_temporary_file_stays(folder: Archive, tmp_path: Path) -> None:
    folder.put_once(KEY, VIDEO, sha256=SHA256, content_type="video/mp4")
    folder.put_once(KEY, VIDEO, sha256=SHA256, content_type="video/mp4")
    folder.put("cats/batch.json", b"{}", "application/json")
    assert _files(tmp_path) == ["batch.json", "take-1.mp4"]


def test_the_umask_decides_who_may_read(folder: Archive, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        folder.put_once(KEY, VIDEO, sha256=SHA256, content_type="video/mp4")
    finally:
        os.umask(before)
    assert (tmp_path / "archive" / KEY).stat().st_mode & 0o777 == 0o640


def test_a_process_killed_while_it_writes_leaves_no_half_video(tmp_path: Path) -> None:
    """The disk's last step never answers: the process is killed just before the file's name."""
    program = (
        "import os, signal, sys\n"
        "from reelbatch.archive.open import open_archive\n"
        "sys.addaudithook(lambda event, args:"
        " os.kill(os.getpid(), signal.SIGKILL) if event == 'os.link' else None)\n"
        f"open_archive(sys.argv[1]).put_once({KEY!r}, b'x', sha256='00', content_type='video/mp4')"
    )
    archive = str(tmp_path / "archive")
    ended = subprocess.run([sys.executable, "-c", program, archive], check=False)
    assert ended.returncode == -signal.SIGKILL
    again = open_archive(archive)
    assert again.read(KEY) is None
    assert not again.put_once(KEY, VIDEO, sha256=SHA256, content_type="video/mp4").already


def test_what_a_killed_process_left_is_taken_away_an_hour_later(
    folder: Archive, tmp_path: Path
) -> None:
    """And nothing younger, for somebody may be writing it; nothing of others."""
    mine = f"archive/cats/row-1/.{'0a' * 8}.part"
    others = ["archive/cats/row-1/holiday.part", f"archive/dogs/.{'0b' * 8}.part"]
    for name in (mine, *others):
        _make(tmp_path / name, age_seconds=3700)
    _make(tmp_path / f"archive/cats/row-1/.{'0c' * 8}.part", age_seconds=3500)
    before = _files(tmp_path)
    assert (folder.take_away_unfinished("cats"), folder.take_away_unfinished("cats")) == (1, 0)
    assert set(before) - set(_files(tmp_path)) == {Path(mine).name}
    assert folder.take_away_unfinished("nowhere") == 0


def _make(path: Path, *, age_seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half a video")
    then = time.time() - age_seconds
    os.utime(path, (then, then))


def test_a_directory_under_the_key_is_a_taken_key(folder: Archive) -> None:
    folder.put(f"{KEY}/x", b"x", "text/plain")
    with pytest.raises(KeyTaken):
        folder.put_once(KEY, VIDEO, sha256=SHA256, content_type="video/mp4")


def test_a_file_in_the_way_is_refused(folder: Archive) -> None:
    folder.put("cats", b"x", "text/plain")
    with pytest.raises(Permanent) as caught:
        folder.put_once(KEY, VIDEO, sha256=SHA256, content_type="video/mp4")
    assert caught.value.error == "archive_refused"


def test_without_hard_links_it_is_still_written_once(
    folder: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """exFAT and some network shares have none."""

    def no_links(*args: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    assert not folder.put_once(KEY, VIDEO, sha256=SHA256, content_type="video/mp4").already
    assert folder.put_once(KEY, VIDEO, sha256=SHA256, content_type="video/mp4").already
    with pytest.raises(KeyTaken):
        folder.put_once(KEY, b"x", sha256=hashlib.sha256(b"x").hexdigest(), content_type="x")
    assert folder.read(KEY) == VIDEO
    assert _files(tmp_path) == ["take-1.mp4"]


@pytest.mark.parametrize(
    ("number", "family", "sentence"),
    [
        (errno.ENOSPC, Permanent, "No space is left"),
        (errno.EDQUOT, Permanent, "No space is left"),
        (errno.EIO, Transient, "Input/output error"),
        (errno.EROFS, Permanent, "Read-only file system"),
    ],
)
def test_what_a_disk_says_is_said_on(
    folder: Archive,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    number: int,
    family: type[Exception],
    sentence: str,
) -> None:
    def failing(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    folder.put("cats/row-1/x", b"x", "text/plain")
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(family, match=sentence):
        folder.put_once(KEY, VIDEO, sha256=SHA256, content_type="video/mp4")
    assert _files(tmp_path) == ["x"]
