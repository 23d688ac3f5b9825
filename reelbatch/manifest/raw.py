"""A row as its file has it: every cell still text, every column already known by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from reelbatch.errors import ReelbatchError
from reelbatch.manifest.faults import CARRY_ON, fault_of
from reelbatch.manifest.rows import Fault, Severity

_ALL_ON_ONE_LINE: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class RawRow:
    """One row before anything in it was checked."""

    file: str
    line: int
    folder: str
    """What a relative image is relative to."""
    cells: Mapping[str, str]
    labels: Mapping[str, str]
    lines: Mapping[str, int] = field(default_factory=lambda: _ALL_ON_ONE_LINE)
    """The line of a column, where it is not the row's."""
    is_sound: bool = True
    """Whether its columns and cells could be told; if not, the fault has been told."""

    def line_of(self, column: str | None) -> int:
        return self.lines.get(column, self.line) if column else self.line

    def fault(
        self,
        column: str | None,
        code: str,
        message: str,
        advice: str = CARRY_ON,
        severity: Severity = "error",
    ) -> Fault:
        return Fault(
            file=self.file,
            line=self.line_of(column),
            column=column,
            code=code,
            message=message,
            advice=advice,
            severity=severity,
        )

    def wrong(self, column: str, problem: ReelbatchError, *, about: str = "") -> Fault:
        """The fault for what a column's reader refused."""
        return fault_of(
            problem, about=about, file=self.file, line=self.line_of(column), column=column
        )
