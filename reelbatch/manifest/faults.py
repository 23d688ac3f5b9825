"""Errors become faults: a cell's reader raises Permanent, its row says where."""

from __future__ import annotations

from reelbatch.errors import Permanent, ReelbatchError
from reelbatch.manifest.rows import Fault

CARRY_ON = "Fix the row and run again: finished rows are kept."


class Unreadable(Permanent):
    """A file that cannot be read as a manifest at all; `line` is 0 where none is to blame."""

    def __init__(self, message: str, *, error: str, advice: str = "", line: int = 0) -> None:
        super().__init__(message, advice=advice, error=error)
        self.line = line


def fault_of(
    problem: ReelbatchError, *, about: str, file: str, line: int = 0, column: str | None = None
) -> Fault:
    """The fault for an error; its code says what it is about (`image-missing`)."""
    kind = problem.error if isinstance(problem, Permanent) else "unreachable"
    kind = kind.replace("_", "-")
    code = kind if not about or kind.startswith(f"{about}-") else f"{about}-{kind}"
    return Fault(
        file=file,
        line=line,
        column=column,
        code=code,
        message=problem.message,
        advice=problem.advice or CARRY_ON,
    )


def shown(text: str, limit: int = 60) -> str:
    """A value as a message quotes it: short, on one line."""
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")
