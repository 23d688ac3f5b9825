"""An archive in a directory: every file appears whole or not at all, and survives a power cut.

A file is written under a temporary name in its own directory, synced, then linked to its key;
a hard link never replaces. Where the file system has none (exFAT, some network shares) we look
and rename, and two processes that bring *different* bytes in the same instant may race.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reelbatch.archive.contract import SCRATCH, KeyTaken, Stored
from reelbatch.archive.keys import checked
from reelbatch.errors import Permanent, Refused, Transient

ADVICE = "Check the directory's owner and mode, or give another one with --archive."
NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
PASSING = frozenset(
    {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR, errno.EMFILE}
    | {errno.ENFILE, errno.EBUSY}
)
PART = re.compile(r"\.[0-9a-f]{16}\.part")
UNFINISHED_FOR_SECONDS = 3600.0


class DirectoryArchive:
    """Files below one directory, which is made by the first put."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @classmethod
    def at(cls, path: Path) -> DirectoryArchive:
        """Raises Refused where a directory cannot be, or cannot be written to."""
        root = Path(os.path.abspath(path))
        if reason := _why_not(root):
            raise Refused(reason, advice=ADVICE)
        return cls(root)

    @property
    def uri(self) -> str:
        return self._root.as_uri()

    def uri_of(self, key: str) -> str:
        return self._path(key).as_uri()

    def describe(self) -> str:
        return str(self._root)

    def page_of(self, key: str) -> str | None:
        return None

    def put_once(self, key: str, content: bytes, *, sha256: str, content_type: str) -> Stored:
        path = self._path(key)
        with _faults(path), _part(path, content) as part:
            already = not _link(part, path)
            _sync_directory(path.parent)
        if already and not self.holds(key, sha256):
            raise KeyTaken(self.uri_of(key))
        return Stored(key=key, uri=self.uri_of(key), already=already)

    def put(self, key: str, content: bytes, content_type: str) -> None:
        path = self._path(key)
        with _faults(path), _part(path, content) as part:
            os.replace(part, path)
            _sync_directory(path.parent)

    def read(self, key: str) -> bytes | None:
        path = self._path(key)
        with _faults(path), suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return path.read_bytes()
        return None

    def holds(self, key: str, sha256: str) -> bool:
        content = self.read(key)
        return content is not None and hashlib.sha256(content).hexdigest() == sha256

    def take_away_scratch(self, name: str) -> bool:
        path = self._path(f"{SCRATCH}/{name}")
        try:
            path.unlink(missing_ok=True)
            path.parent.rmdir()
        except OSError:
            return False
        return True

    def take_away_unfinished(self, below: str) -> int:
        return sum(_is_taken_away(part) for part in _parts(self._path(below)))

    def probe(self) -> None:
        if reason := _why_not(self._root):
            raise Permanent(reason, advice=ADVICE, error="archive_refused")

    def _path(self, key: str) -> Path:
        return self._root / checked(key)


def _parts(folder: Path) -> Iterator[Path]:
    """Every file below it that has a temporary name of ours."""
    for below, _, names in os.walk(folder):
        yield from (Path(below, name) for name in names if PART.fullmatch(name))


def _is_taken_away(part: Path) -> bool:
    """Whether nobody has written it for an hour, and it is gone now."""
    try:
        if time.time() - part.stat().st_mtime < UNFINISHED_FOR_SECONDS:
            return False
        part.unlink()
    except OSError:
        return False
    return True


@contextmanager
def _part(path: Path, content: bytes) -> Iterator[Path]:
    """The content under a temporary name beside its place, safely on disk; gone at the end."""
    _make_directories(path.parent)
    part = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        with open(part, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield part
    finally:
        part.unlink(missing_ok=True)


def _link(part: Path, path: Path) -> bool:
    """Give the part its name. False where something has it already."""
    try:
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if os.path.lexists(path):
            return False
        os.rename(part, path)
    return True


def _make_directories(path: Path) -> None:
    """Make what is missing, and sync each new name into its parent."""
    if path.is_dir():
        return
    _make_directories(path.parent)
    path.mkdir(exist_ok=True)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, *NO_LINKS):
            raise
    finally:
        os.close(descriptor)


def _why_not(root: Path) -> str | None:
    """Why no file could be kept below this directory, be it there or still to be made."""
    there = next(place for place in (root, *root.parents) if os.path.lexists(place))
    if not there.is_dir():
        return f"{there} is not a directory, so it cannot be an archive."
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} may not be written to, so it cannot be an archive."
    return None


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _fault(path, error) from error


def _fault(path: Path, error: OSError) -> Transient | Permanent:
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in FULL:
        return Permanent(
            f"No space is left for {path}.",
            advice="Free some and run again: finished rows are kept.",
            error="archive_full",
        )
    message = f"{path} could not be kept or read: {reason}."
    if error.errno in PASSING:
        return Transient(message)
    return Permanent(message, advice=ADVICE, error="archive_refused")
