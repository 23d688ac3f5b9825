"""An inbox: a folder or an S3 prefix where files arrive, and from where they are filed away.

A file lies at its new place before it leaves its old one: dying in between leaves it twice,
and never nowhere. Only what lies directly in the inbox has arrived; half of a file has not.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from reelbatch.archive.contract import Archive, KeyTaken
from reelbatch.archive.open import open_archive
from reelbatch.errors import Permanent, Refused

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectTypeDef

    from reelbatch.archive.s3 import S3Archive

SUFFIXES = frozenset({".csv", ".yaml", ".yml", ".jsonl", ".xlsx"})
STILL_FOR_SECONDS = 10.0
"""Nobody has written into a file for so long, and its size is the same at two looks."""
BETWEEN_LOOKS_SECONDS = 1.0
PLAIN_TYPE = "application/octet-stream"

Stamp = str
"""Another one means another content."""
Sleep = Callable[[float], None]


class Door(Protocol):
    """The part of an inbox that no archive has: what lies there, and taking it away."""

    def arrived(self) -> Mapping[str, Stamp]: ...

    def remove(self, name: str) -> None: ...


class Inbox:
    """Methods block. They raise Transient and Permanent."""

    def __init__(self, shelf: Archive, door: Door) -> None:
        self._shelf = shelf
        self._door = door

    def arrived(self) -> Mapping[str, Stamp]:
        """The names of the manifests that are there, whole."""
        return self._door.arrived()

    def place_of(self, name: str) -> str:
        """Where it lies, as a manifest's place is written."""
        uri = self._shelf.uri_of(name)
        return uri if uri.startswith("s3://") else self._shelf.describe() + "/" + name

    def read(self, name: str) -> bytes | None:
        return self._shelf.read(name)

    def file_away(
        self, name: str, content: bytes, folder: str, *, report: bytes | None = None
    ) -> str:
        """Move it into this folder, with a report beside it; returns its new name.

        The same content again is the same file; another one of that name gets a number. If
        something else has come under the old name meanwhile, that stays: it has only arrived.
        """
        key = self._keep(name, content, folder)
        if report is not None:
            self._shelf.put(f"{key}.faults.csv", report, "text/csv")
        if self.read(name) == content:
            self._door.remove(name)
        return key

    def _keep(self, name: str, content: bytes, folder: str) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        for n in itertools.count(1):
            key = f"{folder}/{numbered(name, n)}"
            try:
                self._shelf.put_once(key, content, sha256=sha256, content_type=PLAIN_TYPE)
            except KeyTaken:
                continue
            return key
        raise AssertionError  # There is always another number.


def numbered(name: str, n: int) -> str:
    """`cats.csv`, `cats-2.csv`, `cats-3.csv`"""
    path = PurePosixPath(name)
    return name if n == 1 else f"{path.stem}-{n}{path.suffix}"


def open_inbox(uri: str) -> Inbox:
    """The inbox at an `s3://bucket/prefix`, or in a folder. Raises Refused."""
    if uri.startswith("s3://"):
        from reelbatch.archive.s3 import connect

        bucket = connect(uri, pool_size=4)
        return Inbox(bucket, S3Door(bucket))
    shelf = open_archive(uri)
    folder = Path(shelf.describe())
    if not folder.is_dir():
        raise Refused(f"There is no inbox {folder}.", advice="Make the folder, or name another.")
    return Inbox(shelf, FolderDoor(folder))


def is_manifest(name: str) -> bool:
    """Hidden and half-written files are left alone, and so is what is no manifest."""
    return not name.startswith(".") and PurePosixPath(name).suffix.lower() in SUFFIXES


class FolderDoor:
    """Files are written bit by bit, so they are looked at twice."""

    def __init__(self, folder: Path, *, sleep: Sleep = time.sleep) -> None:
        self._folder = folder
        self._sleep = sleep

    def arrived(self) -> Mapping[str, Stamp]:
        before = self._look()
        if before:
            self._sleep(BETWEEN_LOOKS_SECONDS)
        after = self._look()
        return {name: stamp for name, stamp in before.items() if after.get(name) == stamp}

    def remove(self, name: str) -> None:
        with _said_plainly(str(self._folder)):
            (self._folder / name).unlink(missing_ok=True)

    def _look(self) -> dict[str, Stamp]:
        with _said_plainly(str(self._folder)):
            return dict(self._still())

    def _still(self) -> Iterator[tuple[str, Stamp]]:
        for path in sorted(self._folder.iterdir()):
            if not is_manifest(path.name) or not path.is_file():
                continue
            facts = path.stat()
            if time.time() - facts.st_mtime > STILL_FOR_SECONDS:
                yield path.name, f"{facts.st_size} {facts.st_mtime_ns}"


class S3Door:
    """An object appears whole or not at all."""

    def __init__(self, shelf: S3Archive) -> None:
        self._shelf = shelf
        self._prefix = f"{shelf.prefix}/" if shelf.prefix else ""

    def arrived(self) -> Mapping[str, Stamp]:
        with _said_plainly(self._shelf.uri):
            found = {one["Key"].removeprefix(self._prefix): one["ETag"] for one in self._list()}
        return {name: stamp for name, stamp in sorted(found.items()) if is_manifest(name)}

    def remove(self, name: str) -> None:
        with _said_plainly(self._shelf.uri):
            self._shelf.client.delete_object(Bucket=self._shelf.bucket, Key=f"{self._prefix}{name}")

    def _list(self) -> Iterator[ObjectTypeDef]:
        pages = self._shelf.client.get_paginator("list_objects_v2").paginate(
            Bucket=self._shelf.bucket, Prefix=self._prefix, Delimiter="/"
        )
        for page in pages:
            yield from page.get("Contents", [])


@contextmanager
def _said_plainly(uri: str) -> Iterator[None]:
    """Listing and removing are asked of no archive, so the rights to them may be missing."""
    from botocore.exceptions import BotoCoreError, ClientError

    from reelbatch.archive.s3_faults import read_code

    try:
        yield
    except OSError as error:
        raise _unusable(uri, error.strerror or type(error).__name__) from error
    except (ClientError, BotoCoreError) as error:
        raise _unusable(uri, read_code(error)) from error


def _unusable(uri: str, reason: str) -> Permanent:
    return Permanent(
        f"The inbox {uri} cannot be listed or cleared: {reason}.",
        advice="Allow listing, reading, writing and removing there (S3: ListBucket, GetObject, "
        "PutObject, DeleteObject).",
        error="inbox_refused",
    )
