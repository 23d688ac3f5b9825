"""What an archive promises, whichever kind it is: media is written once, the rest may change.

Methods block; call them from worker threads. Each raises Transient (try again) or Permanent
(`archive_refused`, `archive_full`). Being allowed to put and get below the prefix is enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from reelbatch.errors import Permanent, ReelbatchError, Refused

SCRATCH = ".reelbatch-doctor"
"""Below it lies what a check-up tries out: the only keys that may ever be taken away again."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What lies in the archive now. `already`: it did before; `warning`: for the user."""

    key: str
    uri: str
    already: bool = False
    warning: str | None = None


class KeyTaken(Permanent):
    """Other bytes lie under this key, and media is never overwritten."""

    def __init__(self, uri: str) -> None:
        super().__init__(f"{uri} already holds something else.", error="key_taken")


class Archive(Protocol):
    """A place for files under keys such as `cats/row-1/take-1.mp4`."""

    @property
    def uri(self) -> str:
        """Absolute, and enough to open it again from anywhere."""

    def uri_of(self, key: str) -> str: ...

    def describe(self) -> str:
        """For people: where it is, without secrets."""

    def page_of(self, key: str) -> str | None:
        """Where people see what lies below this key in a browser, if that is anywhere."""

    def put_once(self, key: str, content: bytes, *, sha256: str, content_type: str) -> Stored:
        """Keep these bytes under a free key; the same bytes again are success.

        `sha256` is hexadecimal, and S3 checks the arriving bytes against it. Raises KeyTaken.
        """

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Write, or write anew: for sidecars, batch.json and the index."""

    def read(self, key: str) -> bytes | None:
        """The bytes, or None where there are none (or none that we may see)."""

    def holds(self, key: str, sha256: str) -> bool:
        """Whether exactly these bytes lie there."""

    def take_away_scratch(self, name: str) -> bool:
        """Remove a file below SCRATCH; False where that is not allowed, which is no harm."""

    def take_away_unfinished(self, below: str) -> int:
        """Remove what killed processes left half-written below this key an hour ago and more.

        How many files that were; where a put is one step, as in S3, there are none.
        """

    def probe(self) -> None:
        """Look whether it answers, and write nothing. Raises Transient or Permanent."""


def as_refusal(error: ReelbatchError) -> Refused:
    """A failed first put, as the reason why the command cannot start."""
    return Refused(error.message, advice=error.advice)
