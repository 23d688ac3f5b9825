"""What a manifest says, once it is read and sound.

File and line number travel with every row into every error about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from reelbatch.jobs import Arguments, RowId

Severity = Literal["error", "warning"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing wrong with a manifest: where, what, and what to do."""

    file: str
    line: int
    column: str | None
    code: str
    """A stable name in kebab case, for instance `seed-not-integer`."""
    message: str
    advice: str
    severity: Severity = "error"

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        return f"{where}{self.message} {self.advice}".strip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """A row's image: as written, where its bytes are, and what they are if known."""

    source: str
    """As the manifest has it (a `data:` URI is cut to its media type and length)."""
    location: str
    """Absolute path, `s3://`, `https://` URL or the whole `data:` URI."""
    sha256: str | None
    """None with `--no-fetch`, for a remote image nobody has read."""
    content_type: str | None = None
    width: int | None = None
    height: int | None = None

    @property
    def is_remote(self) -> bool:
        """Whether fal fetches it itself; all others are uploaded before the submission."""
        return self.location.startswith(("https://", "http://"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One sound line of a manifest."""

    row_id: RowId
    file: str
    line: int
    """1-based line in the file where the row begins."""
    endpoint_id: str
    arguments: Arguments
    """The request body without `seed` and `image_url`; tags already composed."""
    image: Image | None
    seed: int | None
    takes: int
    output: str | None
    """Name template of the video below `{batch}/`, or None for the default."""
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest as given, its sound rows, and everything that is wrong with the others."""

    name: str
    """`name` in YAML, else the file's stem."""
    place: str
    """Absolute path or URL: the same name found at another place is another batch."""
    content: bytes
    file_name: str
    archive: str | None
    budget_usd: Decimal | None
    rows: Sequence[Row]
    faults: Sequence[Fault]

    @property
    def errors(self) -> list[Fault]:
        return [fault for fault in self.faults if fault.severity == "error"]

    @property
    def warnings(self) -> list[Fault]:
        return [fault for fault in self.faults if fault.severity == "warning"]
