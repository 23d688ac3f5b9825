"""batch.json says whose a batch is: no second ledger pays for it again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from reelbatch.archive.batch_file import (
    BatchFile,
    check_owner,
    claim_batch,
    manifest_key,
    read_batch_file,
    write_batch_file,
)
from reelbatch.archive.contract import Archive
from reelbatch.archive.open import open_archive
from reelbatch.errors import Refused
from reelbatch.jobs import BatchId

CATS = BatchId("cats")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Archive:
    return open_archive(str(tmp_path / "archive"))


def _file(ledger_id: str = "ledger-a", archived: int = 0) -> BatchFile:
    return BatchFile(
        batch=CATS,
        place="/home/me/cats.csv",
        ledger_id=ledger_id,
        created_at=NOON,
        updated_at=NOON,
        manifests=("cats/manifests/01234567-cats.csv",),
        counts={"jobs": 2, "archived": archived},
        spent_usd=Decimal("0.4"),
    )


def test_its_keys_are_a_contract(folder: Archive) -> None:
    write_batch_file(folder, _file())
    content = folder.read("cats/batch.json")
    assert json.loads(content or b"") == {
        "schema_version": 1,
        "batch": "cats",
        "place": "/home/me/cats.csv",
        "ledger_id": "ledger-a",
        "created_at": "2026-11-21T12:00:00Z",
        "updated_at": "2026-11-21T12:00:00Z",
        "manifests": ["cats/manifests/01234567-cats.csv"],
        "counts": {"jobs": 2, "archived": 0},
        "spent_usd": "0.40",
    }


def test_it_is_read_back(folder: Archive) -> None:
    assert read_batch_file(folder, CATS) is None
    write_batch_file(folder, _file(archived=1))
    write_batch_file(folder, _file(archived=2))
    assert read_batch_file(folder, CATS) == _file(archived=2)


def test_a_ledger_comes_back_to_its_own_batch(folder: Archive) -> None:
    claim_batch(folder, _file(archived=1))
    claim_batch(folder, _file(archived=2))
    check_owner(folder, CATS, "ledger-a")
    assert read_batch_file(folder, CATS) == _file(archived=1)


def test_another_ledger_is_stopped_with_what_to_do(folder: Archive) -> None:
    claim_batch(folder, _file("ledger-a"))
    with pytest.raises(Refused, match=r"belongs to another ledger \(ledger-a") as caught:
        claim_batch(folder, _file("ledger-b"))
    assert "--ledger" in caught.value.advice
    with pytest.raises(Refused):
        check_owner(folder, CATS, "ledger-b")


def test_a_batch_that_nobody_has_is_free(folder: Archive) -> None:
    check_owner(folder, CATS, "ledger-b")


@pytest.mark.parametrize("content", [b"not json", b"{}", b'{"schema_version": 2}'])
def test_an_unreadable_batch_file_is_no_free_batch(folder: Archive, content: bytes) -> None:
    folder.put("cats/batch.json", content, "application/json")
    with pytest.raises(Refused, match=r"cats/batch\.json cannot be read"):
        check_owner(folder, CATS, "ledger-a")


@pytest.mark.parametrize(
    ("file_name", "kept_as"),
    [
        ("cats.csv", "cats.csv"),
        ("/home/me/my cats #2.csv", "my-cats-2.csv"),
        ("https://docs.example/d/pub?output=csv&key=secret", "pub"),
        ("Kätzchen.yaml", "Kätzchen.yaml"),
        ("..", "manifest"),
        ("", "manifest"),
    ],
)
def test_a_manifest_is_kept_under_its_hash_and_name(file_name: str, kept_as: str) -> None:
    """The same bytes under one name are one file; an edited manifest is another."""
    key = manifest_key(CATS, b"id,prompt", file_name)
    place, _, name = key.rpartition("/")
    assert place == "cats/manifests"
    assert name[8:] == f"-{kept_as}"
    assert key[:23] == manifest_key(CATS, b"id,prompt", "other.csv")[:23]
    assert key[:23] != manifest_key(CATS, b"id,prompt\n", file_name)[:23]
