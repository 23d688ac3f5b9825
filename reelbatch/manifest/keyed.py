"""Rows whose cells carry their own column names: JSONL and YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reelbatch.manifest.columns import Columns
from reelbatch.manifest.raw import RawRow
from reelbatch.manifest.rows import Fault
from reelbatch.manifest.table import shared


@dataclass(frozen=True, kw_only=True)
class KeyedRows:
    """What the rows of one such file have in common."""

    file: str
    folder: str
    columns: Columns
    found: list[Fault]
    words: dict[str, str] = field(default_factory=dict)

    def row(
        self,
        values: Mapping[str, str],
        line: int,
        lines: Mapping[str, int],
        *,
        is_sound: bool = True,
    ) -> RawRow:
        """One row; `lines` are those of keys that do not stand on the row's first line."""
        cells: dict[str, str] = {}
        labels: dict[str, str] = {}
        places: dict[str, int] = {}
        for written, text in values.items():
            column = self.columns.named(written, lines.get(written, line))
            target = labels if column.is_label else cells
            if column.name in target:
                self.columns.twice(written, column, lines.get(written, line))
                is_sound = False
            target[column.name] = shared(text.strip(), self.words)
            if lines.get(written, line) != line:
                places[column.name] = lines[written]
        given = {name: text for name, text in cells.items() if text}
        return RawRow(
            file=self.file,
            line=line,
            folder=self.folder,
            cells=given,
            labels=labels,
            lines=places,
            is_sound=is_sound,
        )

    def wrong(self, line: int, code: str, message: str, advice: str = "") -> None:
        self.found.append(
            Fault(file=self.file, line=line, column=None, code=code, message=message, advice=advice)
        )


def keyed_rows(file: str, folder: str, found: list[Fault]) -> KeyedRows:
    return KeyedRows(file=file, folder=folder, columns=Columns(file, found), found=found)
