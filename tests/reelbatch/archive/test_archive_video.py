"""A paid video is never left out of the archive, and never put over another."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from reelbatch.archive.contract import Archive, Stored
from reelbatch.archive.open import open_archive
from reelbatch.archive.video import store_video
from reelbatch.jobs import JobId

KEY = "cats/row-1/take-1.mp4"
JOB = JobId("0f3a")


@pytest.fixture
def folder(tmp_path: Path) -> Archive:
    return open_archive(str(tmp_path / "archive"))


def _store(archive: Archive, content: bytes, job_id: JobId = JOB) -> Stored:
    return store_video(archive, KEY, job_id, content, hashlib.sha256(content).hexdigest())


def test_a_video_goes_under_its_key(folder: Archive) -> None:
    assert _store(folder, b"one") == Stored(key=KEY, uri=folder.uri_of(KEY))


def test_the_same_video_again_is_there_already(folder: Archive) -> None:
    _store(folder, b"one")
    again = _store(folder, b"one")
    assert (again.key, again.already, again.warning) == (KEY, True, None)


def test_where_the_key_is_taken_it_goes_beside_with_a_warning(folder: Archive) -> None:
    folder.put(KEY, b"what the user put there", "video/mp4")
    stored = _store(folder, b"one")
    assert stored.key == "cats/row-1/0f3a.mp4"
    assert stored.warning == (
        "cats/row-1/take-1.mp4 already holds another video, so this one is kept as"
        " cats/row-1/0f3a.mp4."
    )
    assert folder.read(KEY) == b"what the user put there"
    assert folder.read(stored.key) == b"one"


def test_storing_it_again_after_a_crash_finds_it_beside(folder: Archive) -> None:
    folder.put(KEY, b"other", "video/mp4")
    _store(folder, b"one")
    again = _store(folder, b"one")
    assert (again.key, again.already) == ("cats/row-1/0f3a.mp4", True)
    assert again.warning


def test_even_a_second_result_of_one_job_finds_a_place(folder: Archive) -> None:
    for content in (b"other", b"one", b"two"):
        stored = _store(folder, content)
    digest = hashlib.sha256(b"two").hexdigest()
    assert stored.key == f"cats/row-1/0f3a-{digest[:16]}.mp4"
    assert folder.read(stored.key) == b"two"


def test_a_job_id_cannot_lead_elsewhere(folder: Archive) -> None:
    folder.put(KEY, b"other", "video/mp4")
    assert _store(folder, b"one", JobId("../1:a/b")).key == "cats/row-1/1-a-b.mp4"
