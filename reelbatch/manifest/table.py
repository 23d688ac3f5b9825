"""Rows of a table: a header that names the columns, then as many cells in every line.

CSV and Excel both end here. A blank line is no row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reelbatch.manifest.columns import Column, Columns
from reelbatch.manifest.faults import Unreadable
from reelbatch.manifest.raw import RawRow
from reelbatch.manifest.rows import Fault

_SHARED_LENGTH = 40
_SHARED_WORDS = 10_000

Header = Sequence[Column | None]
"""None is a column without a name, whose cells must be empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """The cells between two row ends, and the lines they cover."""

    first_line: int
    last_line: int
    cells: Sequence[str]

    @property
    def is_blank(self) -> bool:
        return not any(cell and not cell.isspace() for cell in self.cells)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Where a table's rows come from, and what a YAML around it supplies."""

    file: str
    folder: str
    supplied: frozenset[str] = frozenset()
    """Columns that have a default elsewhere and may be missing here."""

    def rows(self, records: Iterator[Record], found: list[Fault]) -> Iterator[RawRow]:
        """The rows below the header. Raises Unreadable where there is no header."""
        header_record = next((record for record in records if not record.is_blank), None)
        if header_record is None:
            raise Unreadable(
                "The manifest is empty.",
                error="manifest-empty",
                advice="`reelbatch init --example` writes a first one to edit.",
            )
        header = self._header(header_record, found)
        is_sound = len({column for column in header if column}) == sum(map(bool, header))
        words: dict[str, str] = {}
        for record in records:
            if record.is_blank:
                continue
            if fault := self._misfit(header, record):
                found.append(fault)
            else:
                yield self._row(header, record, words, is_sound=is_sound)

    def _header(self, record: Record, found: list[Fault]) -> Header:
        columns = Columns(self.file, found)
        header: list[Column | None] = []
        for written in record.cells:
            column = columns.named(written, record.first_line) if written.strip() else None
            if column and column in header:
                columns.twice(written, column, record.first_line)
            header.append(column)
        if not {"prompt", "speech"} & {*self.supplied, *(c.name for c in header if c)}:
            raise _no_prompt(record)
        return header

    def _misfit(self, header: Header, record: Record) -> Fault | None:
        """What is wrong with a row whose cells do not fit the header."""
        wanted, given = len(header), len(record.cells)
        if given > wanted:
            code, what = (
                "row-too-long",
                f"The row has {given} cell{'' if given == 1 else 's'}, the header {wanted}.",
            )
            advice = "Put a cell that holds a comma between double quotes."
        elif given < wanted:
            code, what = (
                "row-too-short",
                f"The row has {given} cell{'' if given == 1 else 's'}, the header {wanted}.",
            )
            advice = "Write a separator for every empty cell too."
        elif any(
            column is None and cell.strip()
            for column, cell in zip(header, record.cells, strict=True)
        ):
            code, what = "cell-without-column", "A cell stands in a column without a name."
            advice = "Name the column in the first line, or empty the cell."
        else:
            return None
        if record.last_line > record.first_line:
            advice += f" It runs to line {record.last_line}: is a quote missing?"
        return Fault(
            file=self.file,
            line=record.first_line,
            column=None,
            code=code,
            message=what,
            advice=advice,
        )

    def _row(
        self, header: Header, record: Record, words: dict[str, str], *, is_sound: bool
    ) -> RawRow:
        cells: dict[str, str] = {}
        labels: dict[str, str] = {}
        for column, text in zip(header, record.cells, strict=True):
            if column is None:
                continue
            text = text.strip()
            if column.is_label:
                labels[column.name] = shared(text, words)
            elif text:
                cells[column.name] = shared(text, words)
        return RawRow(
            file=self.file,
            line=record.first_line,
            folder=self.folder,
            cells=cells,
            labels=labels,
            is_sound=is_sound,
        )


def shared(text: str, words: dict[str, str]) -> str:
    """The same short word is one string, however many rows say it."""
    if len(text) > _SHARED_LENGTH:
        return text
    return words.setdefault(text, text) if len(words) < _SHARED_WORDS else words.get(text, text)


def _no_prompt(header: Record) -> Unreadable:
    names = ", ".join(repr(cell.strip()) for cell in header.cells[:8] if cell.strip())
    return Unreadable(
        f"No column is named 'prompt'; the first line has {names[:300]}.",
        error="no-prompt-column",
        advice="The first line names the columns; every row needs a prompt.",
        line=header.first_line,
    )
