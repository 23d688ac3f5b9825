"""Where a manifest lies, what is relative to it, and its bytes."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import urljoin

from reelbatch.errors import Permanent
from reelbatch.manifest.faults import Unreadable
from reelbatch.manifest.names import made_safe
from reelbatch.media.remote import Remote, file_name, megabytes

MANIFEST_CAP_BYTES = 200 * 1024 * 1024

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SIGNED = re.compile(r"signature=|[?&](sig|token)=", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^/?#]*@")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A manifest's bytes, and where they were."""

    file: str
    """As the user wrote it: what every error begins with."""
    place: str
    """Absolute path or URL, without user and signature: it is shown, kept and compared."""
    folder: str
    content: bytes

    @property
    def file_name(self) -> str:
        return file_name(self.file)

    @property
    def stem(self) -> str:
        return made_safe(PurePosixPath(self.file_name).stem, empty="manifest")[:100]

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.file_name).suffix.lower()


def is_url(place: str) -> bool:
    return bool(_URL.match(place))


def named(place: str) -> Source:
    """The source at a place, its bytes not read yet."""
    if is_url(place):
        bare = _USER.sub("", place.partition("?")[0] if _SIGNED.search(place) else place)
        return Source(file=bare, place=bare, folder=bare.rpartition("/")[0] + "/", content=b"")
    path = os.path.abspath(os.path.expanduser(place.replace("\0", "?")))
    folder = os.path.dirname(path)
    return Source(file=place, place=os.path.realpath(path), folder=folder, content=b"")


def bytes_at(place: str, remote: Remote) -> bytes:
    """The manifest's bytes. Raises Permanent or Transient, whose sentence says why not."""
    if place.startswith(("s3://", "https://")):
        return remote.read(place, cap_bytes=MANIFEST_CAP_BYTES)
    if is_url(place):
        raise Permanent(
            f"A manifest is not read from {place.partition('://')[0]}://.",
            advice="Give a path, an s3:// or an https:// address.",
            error="scheme",
        )
    return _file(Path(place).expanduser())


def beside(reference: str, folder: str) -> str:
    """The absolute location of what a manifest in this folder names."""
    if is_url(reference) or reference.startswith("data:"):
        return reference
    if folder.startswith("s3://"):
        bucket, _, prefix = folder.removeprefix("s3://").partition("/")
        return f"s3://{bucket}/" + posixpath.normpath(posixpath.join("/", prefix, reference))[1:]
    if is_url(folder):
        return urljoin(folder, reference)
    return os.path.normpath(os.path.join(folder, os.path.expanduser(reference)))


def included(reference: str, source: Source) -> str:
    """The place of a file that a manifest includes, written as the user would write it."""
    if is_url(reference) or is_url(source.file):
        return beside(reference, source.folder)
    return os.path.normpath(os.path.join(os.path.dirname(source.file), reference))


def _file(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise Unreadable(
                f"{path} is a directory, not a manifest.",
                error="is_directory",
                advice=f"`reelbatch init {path}` makes a manifest from a folder of images.",
            )
        if (size := path.stat().st_size) > MANIFEST_CAP_BYTES:
            raise _too_large(size)
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise Unreadable(
            f"There is no manifest {path}, looked for in {path.absolute().parent}.",
            error="missing",
            advice="Check the path; `reelbatch init --example` writes a first manifest.",
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Unreadable(f"{path} cannot be read: {reason}.", error="unreadable") from error


def _too_large(size: int) -> Unreadable:
    return Unreadable(
        f"The manifest has {megabytes(size)}; {megabytes(MANIFEST_CAP_BYTES)} is the most.",
        error="too_large",
        advice="Split it into several manifests.",
    )


Read = Callable[[str], Source]
"""Reads the source at a place. Raises Permanent or Transient."""


def reader(remote: Remote) -> Read:
    """Reading with this way to the world outside."""

    def read(place: str) -> Source:
        source = named(place)
        return replace(source, content=bytes_at(place, remote))

    return read
