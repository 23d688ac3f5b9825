"""Which encoding a manifest's bytes are in. Only Windows-1252 is guessed, and said aloud."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from reelbatch.manifest.faults import Unreadable
from reelbatch.manifest.rows import Fault

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NEVER_IN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x19\x1b-\x1f]")


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """A codec's name; `guessed_at` is the line that is not UTF-8, where we had to guess."""

    name: str
    guessed_at: int | None = None


def encoding_of(content: bytes) -> Encoding:
    """The encoding of a text file. Raises Unreadable for bytes that are no text."""
    marked = next((name for bom, name in _BOMS if content.startswith(bom)), None)
    if marked is None and (control := _NEVER_IN_TEXT.search(content)):
        raise _no_text(content, control.start())
    try:
        content.decode(marked or "utf-8")
    except UnicodeDecodeError as error:
        if marked:
            raise _no_text(content, error.start) from None
        return _windows_1252(content, error.start)
    return Encoding(name=marked or "utf-8")


def encoding_said(content: bytes, file: str, found: list[Fault]) -> Encoding:
    """The encoding, with a warning among `found` where it was guessed. Raises Unreadable."""
    encoding = encoding_of(content)
    if encoding.guessed_at:
        found.append(_guessed(file, encoding.guessed_at))
    return encoding


def _guessed(file: str, line: int) -> Fault:
    return Fault(
        file=file,
        line=line,
        column=None,
        code="encoding-guessed",
        message="This line is not UTF-8; the file was read as Windows-1252.",
        advice="Look at its accents, or save the file as UTF-8.",
        severity="warning",
    )


def _windows_1252(content: bytes, first_odd_byte: int) -> Encoding:
    try:
        content.decode("cp1252")
    except UnicodeDecodeError as error:
        raise _no_text(content, error.start) from None
    return Encoding(name="cp1252", guessed_at=_line_of(content, first_odd_byte))


def _line_of(content: bytes, position: int) -> int:
    return content.count(b"\n", 0, position) + 1


def _no_text(content: bytes, position: int) -> Unreadable:
    return Unreadable(
        f"Byte {position + 1} is no text in any encoding we read.",
        error="manifest-not-text",
        advice="Save the manifest as CSV in UTF-8, or as YAML, JSONL or Excel.",
        line=_line_of(content, position),
    )
