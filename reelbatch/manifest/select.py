"""`--where column=value`: which rows of a manifest are meant. Several must all be true.

`*` stands for any text. What selects on results (`error=...`) is not decided here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from reelbatch.errors import Refused
from reelbatch.manifest.columns import ALIASES
from reelbatch.manifest.rows import Row


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


def matches(row: Row, wheres: Sequence[Where]) -> bool:
    """Whether the row has every column asked for, each with the value asked for."""
    return all(
        text is not None and where.accepts(text)
        for where in wheres
        for text in [_cell(row, where.column)]
    )


def select(rows: Sequence[Row], wheres: Sequence[Where]) -> list[Row]:
    """The rows that match. Raises Refused for a column that no row has."""
    for where in wheres:
        if rows and all(_cell(row, where.column) is None for row in rows):
            raise _no_column(rows, where.column)
    return [row for row in rows if matches(row, wheres)]


def _cell(row: Row, column: str) -> str | None:
    """What a row has in a column; an argument left out is empty, an unknown label is None."""
    match column:
        case "id":
            return row.row_id
        case "endpoint":
            return row.endpoint_id
        case "image":
            return row.image.source if row.image else ""
        case "seed":
            return "" if row.seed is None else str(row.seed)
        case "takes" | "line" | "file":
            return str(getattr(row, column))
        case _ if column in row.labels:
            return row.labels[column]
        case _ if column in row.arguments:
            return str(row.arguments[column])
        case _:
            return None


def _no_column(rows: Sequence[Row], column: str) -> Refused:
    known = {"id", "endpoint", "image", "seed", "takes", "line", "file"}
    known |= {name for row in rows for name in (*row.labels, *row.arguments)}
    close = difflib.get_close_matches(column, known, n=1)
    return Refused(
        f"No row has a column {column!r} to select by.",
        advice=f"Did you mean {close[0]!r}?" if close else f"Use {', '.join(sorted(known))[:300]}.",
    )
