"""How one row as written becomes the rows it stands for: defaults, matrix, templates.

A row's own cell beats the matrix, which beats the defaults.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from reelbatch.errors import Permanent
from reelbatch.manifest.raw import RawRow
from reelbatch.manifest.rows import Fault
from reelbatch.manifest.templates import filled


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """What a YAML adds to every row of itself and of the files it includes."""

    defaults: RawRow
    matrix: Mapping[str, Sequence[RawRow]]
    """A column's name, and for each of its values a row with that one cell."""

    @property
    def supplied(self) -> frozenset[str]:
        """Known columns that a row may leave out."""
        several = (cell for values in self.matrix.values() for cell in values)
        return frozenset(column for row in (self.defaults, *several) for column in row.cells)

    def rows(self, raw: RawRow, found: list[Fault], *, is_template: bool) -> Iterator[RawRow]:
        """The rows that this one stands for; those with a broken template become faults."""
        twice = [name for name in self.matrix if name in raw.cells or name in raw.labels]
        if twice:
            what = f"The row has a {twice[0]!r} of its own, and so has the matrix."
            found.append(raw.fault(twice[0], "matrix-conflict", what, "Keep one of them."))
            return
        for cells in itertools.product(*self.matrix.values()):
            row = _merged(raw, (*cells, self.defaults))
            try:
                yield _filled(row, raw, is_template=is_template)
            except _BadTemplate as bad:
                found.append(row.wrong(bad.column, bad.problem))


class _BadTemplate(Exception):
    def __init__(self, column: str, problem: Permanent) -> None:
        super().__init__(column)
        self.column = column
        self.problem = problem


def _merged(raw: RawRow, additions: Sequence[RawRow]) -> RawRow:
    """The row with what it has not itself; an image stays relative to who named it."""
    if not any(extra.cells or extra.labels for extra in additions):
        return raw
    cells, labels, folder = dict(raw.cells), dict(raw.labels), raw.folder
    lines = dict(raw.lines)
    for extra in additions:
        if "image" in extra.cells and "image" not in cells:
            folder = extra.folder
        for name, text in extra.cells.items():
            if name not in cells and extra.file == raw.file:
                lines[name] = extra.line_of(name)
            cells.setdefault(name, text)
        for name, text in extra.labels.items():
            labels[name] = labels.get(name) or text
    return replace(raw, cells=cells, labels=labels, folder=folder, lines=lines)


def _filled(row: RawRow, raw: RawRow, *, is_template: bool) -> RawRow:
    """The row with its templates filled; cells of an included file are left alone."""
    values = {**row.labels, **row.cells}

    def fill(name: str, text: str, own: Mapping[str, str]) -> str:
        is_data = not is_template and own.get(name) == text
        if name == "output" or is_data or "{" not in text:
            return text
        try:
            return filled(text, values)
        except Permanent as problem:
            raise _BadTemplate(name, problem) from problem

    cells = {name: fill(name, text, raw.cells) for name, text in row.cells.items()}
    labels = {name: fill(name, text, raw.labels) for name, text in row.labels.items()}
    return replace(row, cells=cells, labels=labels)
