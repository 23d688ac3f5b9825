"""How one row as written becomes the rows it stands for: defaults, matrix, templates.

A row's own cell beats the matrix, which beats the defaults.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from reelbatch.errors import Permanent
from reelbatch.manifest.raw import RawRow
from reelbatch.manifest.rows import Fault
from reelbatch.manifest.templates import filled

MATRIX_CAP = 100_000


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

    @property
    def combinations(self) -> int:
        return math.prod(len(values) for values in self.matrix.values())

    def rows(self, raw: RawRow, found: list[Fault], *, is_template: bool) -> Iterator[RawRow]:
        """The rows that this one stands for; those with a broken template become faults."""
        twice = [name for name in self.matrix if name in raw.cells or name in raw.labels]
        if twice:
            what = f"The row has a {twice[0]!r} of its own, and so has the matrix."
            found.append(raw.fault(twice[0], "matrix-conflict", what, "Keep one of them."))
            return
        for cells in itertools.product(*self.matrix.values()):
            row = _merged(raw, (*cells, self.defaults))
            yield _filled(row, frozenset() if is_template else _written(raw), found)


def _written(raw: RawRow) -> frozenset[str]:
    return frozenset(raw.cells) | {name for name, text in raw.labels.items() if text}


def _merged(raw: RawRow, additions: Sequence[RawRow]) -> RawRow:
    """The row with what it has not itself; an image stays relative to who named it."""
    if not any(extra.cells or extra.labels or not extra.is_sound for extra in additions):
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
    is_sound = raw.is_sound and all(extra.is_sound for extra in additions)
    return replace(raw, cells=cells, labels=labels, folder=folder, lines=lines, is_sound=is_sound)


def _filled(row: RawRow, data: Set[str], found: list[Fault]) -> RawRow:
    """The row with its templates filled; what is data, and the output's own fields, stay."""
    values = {**row.labels, **row.cells}
    told = len(found)

    def fill(name: str, text: str) -> str:
        if "{" not in text or name in data or name == "output":
            return text
        try:
            return filled(text, values)
        except Permanent as problem:
            found.append(row.wrong(name, problem))
            return text

    cells = {name: fill(name, text) for name, text in row.cells.items()}
    labels = {name: fill(name, text) for name, text in row.labels.items()}
    is_sound = row.is_sound and len(found) == told
    return replace(row, cells=cells, labels=labels, is_sound=is_sound)
