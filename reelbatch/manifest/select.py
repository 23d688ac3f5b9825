"""`--where column=value`: which rows are meant, or which failed takes. Several must all be true.

`*` stands for any text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from reelbatch.errors import Refused
from reelbatch.manifest.columns import ALIASES
from reelbatch.manifest.rows import Row

T = TypeVar("T")
Cells = Mapping[str, str]
"""What is known of a row, by column."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """One condition: this column has this value."""

    column: str
    value: str

    def accepts(self, text: str) -> bool:
        pattern = ".*".join(re.escape(part) for part in self.value.split("*"))
        return re.fullmatch(pattern, text, re.DOTALL) is not None


def parse_where(text: str) -> Where:
    """A condition as the user types it. Raises Refused without a column."""
    column, equals, value = text.partition("=")
    column = column.strip()
    if not equals or not column:
        raise Refused(
            f"--where {text!r} is no condition.", advice="Write --where column=value, * for any."
        )
    return Where(column="id" if column == "row_id" else ALIASES.get(column, column), value=value)


def select(rows: Sequence[Row], wheres: Sequence[Where]) -> list[Row]:
    """The rows that match. Raises Refused for a column that no row has."""
    return chosen(rows, wheres, cells_of)


def chosen(found: Sequence[T], wheres: Sequence[Where], cells: Callable[[T], Cells]) -> list[T]:
    """Whatever has every column asked for, with the value asked for.

    Raises Refused for a column that none of them has.
    """
    for where in wheres:
        if found and not any(where.column in cells(one) for one in found):
            raise _no_column({name for one in found for name in cells(one)}, where.column)
    return [one for one in found if not wheres or matches(cells(one), wheres)]


def matches(cells: Cells, wheres: Sequence[Where]) -> bool:
    return all(where.column in cells and where.accepts(cells[where.column]) for where in wheres)


def cells_of(row: Row) -> Cells:
    """A row's own columns, and those of the manifest. What was left out is empty."""
    return {
        **{name: str(value) for name, value in row.arguments.items()},
        **row.labels,
        "id": row.row_id,
        "endpoint": row.endpoint_id,
        "image": row.image.source if row.image else "",
        "seed": "" if row.seed is None else str(row.seed),
        "takes": str(row.takes),
        "line": str(row.line),
        "file": row.file,
    }


def _no_column(known: set[str], column: str) -> Refused:
    close = difflib.get_close_matches(column, known, n=1)
    advice = f"Did you mean {close[0]!r}?" if close else f"Use {', '.join(sorted(known))[:300]}."
    if column == "error":
        advice = "`reelbatch retry BATCH --where error=TYPE` chooses among what failed."
    return Refused(f"No row has a column {column!r} to select by.", advice=advice)
