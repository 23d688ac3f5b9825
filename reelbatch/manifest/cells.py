"""One row's cells, read: every one that is wrong becomes a fault, none hides another."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any, TypeVar

from reelbatch.config import ROW_CAP_BYTES
from reelbatch.errors import Permanent
from reelbatch.fal.endpoints import Endpoint
from reelbatch.jobs import SEED_LIMIT
from reelbatch.manifest.faults import shown
from reelbatch.manifest.names import unsafe_because
from reelbatch.manifest.parameters import TEXTS, WHOLE_NUMBERS, misfits
from reelbatch.manifest.prompts import composed
from reelbatch.manifest.raw import RawRow
from reelbatch.manifest.rows import Fault
from reelbatch.media.remote import megabytes

TAKES_CAP = 1000

_WHOLE = re.compile(r"[+-]?\d{1,30}(\.0+)?", re.ASCII)
_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")

T = TypeVar("T")


class Cells:
    """Reads the cells of one row and collects what is wrong with them."""

    def __init__(self, raw: RawRow) -> None:
        self.raw = raw
        self.faults: list[Fault] = []

    def text(self, column: str) -> str:
        return self.raw.cells.get(column, "")

    def read(self, column: str, parse: Callable[[str], T], *, about: str = "") -> T | None:
        """The cell as `parse` understands it; None if it is empty or wrong."""
        text = self.raw.cells.get(column)
        if not text:
            return None
        try:
            return parse(text)
        except Permanent as problem:
            self.faults.append(self.raw.wrong(column, problem, about=about))
            return None

    def check_text(self) -> bool:
        """Whether the row is text of a reasonable size; nothing else is worth looking at if not."""
        values = [*self.raw.cells.items(), *self.raw.labels.items()]
        for column, text in values:
            if not text.isprintable() and _NO_TEXT.search(text):
                self._fault(column, "cell-not-text", "The cell holds a character that is no text.")
        size = sum(len(text) if text.isascii() else _bytes(text) for _, text in values)
        if size > ROW_CAP_BYTES:
            what = f"The row has {megabytes(size)}; {megabytes(ROW_CAP_BYTES)} is the most."
            self._fault(None, "row-too-large", what)
        return not self.faults

    def arguments(self, endpoint: Endpoint) -> dict[str, Any]:
        """The request body without seed and image, checked against the endpoint's schema."""
        arguments: dict[str, Any] = {"prompt": self._prompt(endpoint)}
        for column in TEXTS:
            if text := self.text(column):
                arguments[column] = as_resolution(text) if column == "resolution" else text
        for column in WHOLE_NUMBERS:
            number = self.read(column, whole_number(column), about="steps")
            if number is not None:
                arguments[column] = number
        for column, problem in misfits(endpoint, arguments):
            self.faults.append(self.raw.wrong(column, problem))
        return arguments

    def _prompt(self, endpoint: Endpoint) -> str:
        said, sound = self.text("speech"), self.text("audio")
        return composed(self.text("prompt"), said, sound, endpoint.speech)

    def _fault(self, column: str | None, code: str, message: str) -> None:
        self.faults.append(self.raw.fault(column, code, message))


def whole_number(column: str) -> Callable[[str], int]:
    """A reader of integers; `42.0`, as spreadsheets and pandas write it, is one."""

    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text):
            raise Permanent(f"{column} {shown(text)} is not an integer.", error="not_integer")
        return int(text.partition(".")[0])

    return read


def seed(text: str) -> int:
    number = whole_number("seed")(text)
    if not 0 <= number < SEED_LIMIT:
        raise Permanent(
            f"seed {number} is outside 0 to {SEED_LIMIT - 1}.",
            advice="Choose a smaller one, or leave the cell empty for a seed of our own.",
            error="out_of_range",
        )
    return number


def takes(text: str) -> int:
    number = whole_number("takes")(text)
    if not 1 <= number <= TAKES_CAP:
        raise Permanent(f"takes {number} is outside 1 to {TAKES_CAP}.", error="out_of_range")
    return number


def row_id(text: str) -> str:
    """An id as part of a path, composed (NFC), so that two spellings are one."""
    name = unicodedata.normalize("NFC", text)
    if reason := unsafe_because(name):
        raise Permanent(
            f"The id {shown(name)} {reason}, and ids become folders.",
            advice="Use letters, digits, hyphens and dots.",
            error="unsafe",
        )
    return name


def as_resolution(text: str) -> str:
    """fal's spelling: `992 X 512` and `992×512` mean `992x512`."""  # noqa: RUF002
    return text.lower().replace("\u00d7", "x").replace(" ", "")


def _bytes(text: str) -> int:
    return len(text.encode(errors="replace"))
