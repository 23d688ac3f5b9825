"""Where a manifest may lie, and what is said when it does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reelbatch.manifest.places import beside
from tests.reelbatch.manifest.manifest_parts import Desk, prompts, sound, the_fault

SHEET = "https://docs.example/spreadsheets/d/e/abc/pub?gid=0&output=csv"


def test_the_place_is_absolute_and_the_file_is_as_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.write("sub/cats.csv", "prompt,image\na cat,../mug.png\n,\nx\n")
    monkeypatch.chdir(desk.folder)
    manifest = desk.load_place("sub/cats.csv")
    assert manifest.place == os.path.realpath(desk.folder / "sub/cats.csv")
    assert (manifest.name, manifest.file_name) == ("cats", "cats.csv")
    assert str(the_fault(manifest)).startswith("sub/cats.csv:4: ")
    assert manifest.rows[0].image


def test_the_content_is_kept_as_given(desk: Desk) -> None:
    content = b"\xef\xbb\xbfprompt\r\na cat\r\n"
    assert desk.load(content).content == content


def test_two_ways_to_one_file_are_one_place(desk: Desk) -> None:
    path = desk.write("cats.csv", "prompt\na cat\n")
    link = desk.folder / "linked"
    link.symlink_to(path.parent)
    assert desk.load_place(str(link / "cats.csv")).place == desk.load_place(str(path)).place


def test_a_directory_is_no_manifest_and_init_is_advised(desk: Desk) -> None:
    manifest = desk.load_place(str(desk.folder))
    fault = the_fault(manifest)
    assert fault.code == "manifest-is-directory"
    assert "reelbatch init" in fault.advice
    assert manifest.name


def test_a_missing_file_is_one_fault(desk: Desk) -> None:
    manifest = desk.load_place(str(desk.folder / "nope.csv"))
    assert the_fault(manifest).code == "manifest-missing"
    assert (manifest.name, manifest.content, list(manifest.rows)) == ("nope", b"", [])
    assert manifest.place.endswith("/nope.csv")


def test_a_path_that_cannot_be_is_one_fault(desk: Desk) -> None:
    for place in ("x" * 5000, "a\0b"):
        assert the_fault(desk.load_place(place)).code == "manifest-unreadable"


def test_a_manifest_over_the_cap_is_not_read(desk: Desk) -> None:
    huge = desk.folder / "huge.csv"
    with huge.open("wb") as file:
        file.truncate(300 * 1024 * 1024)
    fault = the_fault(desk.load_place(str(huge)))
    assert fault.code == "manifest-too-large"
    assert "300 MB; 200 MB is the most" in fault.message


@pytest.mark.parametrize("place", ["http://host.example/cats.csv", "ftp://host.example/cats.csv"])
def test_other_schemes_are_refused(desk: Desk, place: str) -> None:
    assert the_fault(desk.load_place(place)).code == "manifest-scheme"


def test_a_published_sheet_is_a_csv(desk: Desk) -> None:
    desk.web.pages[SHEET] = b"prompt\r\na cat\r\n"
    manifest = sound(desk.load_place(SHEET))
    assert (prompts(manifest), manifest.name, manifest.place) == (["a cat"], "pub", SHEET)


def test_a_page_that_is_not_there_is_one_fault(desk: Desk) -> None:
    assert the_fault(desk.load_place(SHEET)).code == "manifest-not-found"


def test_a_signature_is_no_part_of_the_place(desk: Desk) -> None:
    url = "https://bucket.example/cats.csv"
    signed = f"{url}?X-Amz-Signature=secret&X-Amz-Expires=60"
    desk.web.pages[signed] = b"prompt\na cat\nx,y\n"
    manifest = desk.load_place(signed)
    assert manifest.place == url
    assert "secret" not in str(the_fault(manifest))


@pytest.mark.parametrize(
    "secret", ["https://me:hunter2@h.example/cats.csv", f"{SHEET}?token=hunter2"]
)
def test_no_login_is_part_of_the_place(desk: Desk, secret: str) -> None:
    manifest = desk.load_place(secret)
    assert "hunter2" not in f"{manifest.place} {the_fault(manifest).file}"


@pytest.mark.parametrize(
    ("reference", "folder", "location"),
    [
        ("a.png", "/x/y", "/x/y/a.png"),
        ("../a.png", "/x/y", "/x/a.png"),
        ("/z/a.png", "/x/y", "/z/a.png"),
        ("a.png", "s3://b/x/", "s3://b/x/a.png"),
        ("../../../a.png", "s3://b/x/", "s3://b/a.png"),
        ("a.png", "https://h.example/x/", "https://h.example/x/a.png"),
        ("https://h.example/a.png", "/x/y", "https://h.example/a.png"),
        ("data:image/png,x", "/x/y", "data:image/png,x"),
    ],
)
def test_a_reference_is_relative_to_the_manifests_folder(
    reference: str, folder: str, location: str
) -> None:
    assert beside(reference, folder) == location


def test_a_stem_that_is_no_folder_becomes_one(desk: Desk) -> None:
    assert sound(desk.load("prompt\na\n", "cats: {new}.csv")).name == "cats- -new-"


def test_the_home_folder_may_be_written_short(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    desk.write("cats.csv", "prompt,image\na cat,~/mug.png\n")
    assert len(sound(desk.load_place("~/cats.csv")).rows) == 1
