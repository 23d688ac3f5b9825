"""Records of a CSV file: separated by commas, semicolons or tabs, with true line numbers.

A row over the cap is never handed to the csv module: it is skipped to its end and
becomes one fault, so a forgotten quote costs neither memory nor the rows before it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from reelbatch.config import ROW_CAP_BYTES
from reelbatch.manifest.columns import ALIASES, KNOWN
from reelbatch.manifest.encoding import Encoding
from reelbatch.manifest.rows import Fault
from reelbatch.manifest.table import Record
from reelbatch.media.remote import megabytes

_SEPARATORS = (",", ";", "\t")


class _RowTooLarge(Exception):
    """The csv module forgets the row it was in; the next one starts afresh."""


class _Lines:
    """The file's lines, counted, and measured since the row began."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream
        self.number = 0
        self._row_bytes = 0
        self._quotes = 0
        self.ended_inside_quotes = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._stream, None)
        if line is None:
            self.ended_inside_quotes = self._row_bytes > 0
            raise StopIteration
        self.number += 1
        self._quotes += line.count('"')
        self._row_bytes += len(line) if line.isascii() else len(line.encode())
        if self._row_bytes > ROW_CAP_BYTES:
            raise _RowTooLarge
        return line

    def start_row(self) -> None:
        self._row_bytes = self._quotes = 0

    def skip_row(self) -> int:
        """Read on to the end of a row too large; its size in bytes."""
        while self._quotes % 2:
            line = next(self._stream, None)
            if line is None:
                self.ended_inside_quotes = True
                break
            self.number += 1
            self._quotes += line.count('"')
            self._row_bytes += len(line)
        return self._row_bytes


def csv_records(
    content: bytes, encoding: Encoding, *, file: str, found: list[Fault]
) -> Iterator[Record]:
    """Every record of the file, the header first; rows over the cap become faults."""
    csv.field_size_limit(max(csv.field_size_limit(), ROW_CAP_BYTES))
    stream = io.TextIOWrapper(io.BytesIO(content), encoding=encoding.name, newline="")
    separator = _separator(next(stream, ""))
    stream.seek(0)
    lines = _Lines(stream)
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator != "\t")
    while True:
        lines.start_row()
        first_line = lines.number + 1
        try:
            cells = next(reader, None)
        except _RowTooLarge:
            found.append(_too_large(lines, file, first_line))
            continue
        if cells is None:
            return
        if lines.ended_inside_quotes:
            found.append(_quote_not_closed(file, first_line))
            return
        yield Record(first_line=first_line, last_line=lines.number, cells=cells)


def _separator(header: str) -> str:
    """The separator that finds most columns in the header, known ones first."""

    def columns(separator: str) -> tuple[int, int]:
        names = [name.strip().strip('"').lower() for name in header.split(separator)]
        return sum(name in KNOWN or name in ALIASES for name in names), len(names)

    return max(_SEPARATORS, key=columns)


def _too_large(lines: _Lines, file: str, first_line: int) -> Fault:
    size = lines.skip_row()
    if lines.ended_inside_quotes:
        return _quote_not_closed(file, first_line)
    return Fault(
        file=file,
        line=first_line,
        column=None,
        code="row-too-large",
        message=f"The row has {megabytes(size)}; {megabytes(ROW_CAP_BYTES)} is the most.",
        advice="Put a large image into a file and name it in the row.",
    )


def _quote_not_closed(file: str, first_line: int) -> Fault:
    return Fault(
        file=file,
        line=first_line,
        column=None,
        code="quote-not-closed",
        message="A double quote opens in this row and is never closed.",
        advice='Close it, or write "" for a quote inside a quoted cell.',
    )
