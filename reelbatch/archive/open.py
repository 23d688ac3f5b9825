"""Open the archive that a URI names: `s3://bucket/prefix`, `file:///path` or a path."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from reelbatch.archive.contract import Archive
from reelbatch.archive.directory import DirectoryArchive
from reelbatch.errors import Refused


def open_archive(uri: str, *, pool_size: int = 32) -> Archive:
    """The archive behind a URI; nothing is written and no bucket is asked.

    `pool_size`: how many threads will use it at once. Raises Refused.
    """
    scheme = uri.partition("://")[0].lower() if "://" in uri else ""
    match scheme:
        case "s3":
            from reelbatch.archive.s3 import connect

            return connect(uri, pool_size=pool_size)
        case "file":
            return DirectoryArchive.at(_path_of(uri))
        case "":
            return DirectoryArchive.at(Path(uri).expanduser())
        case _:
            raise Refused(
                f"{scheme}:// is no archive that we know.",
                advice="Give s3://bucket/prefix or a directory with --archive.",
            )


def _path_of(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise Refused(
            f"{uri} names another machine.", advice="Write file:///path, with three slashes."
        )
    return Path(unquote(parts.path))
