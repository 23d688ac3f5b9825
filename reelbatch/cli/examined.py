"""What a check-up found, as people read it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TextIO

from reelbatch.run.checkup.check import Check

INDENT = " " * 21


def say_checks(checks: Sequence[Check], out: TextIO) -> None:
    """A line for each, advice below what is not well, and how it stands in all."""
    for check in checks:
        print(f"{check.verdict:<8} {check.name:<11} {check.message}", file=out)
        if check.advice:
            print(f"{INDENT}{check.advice}", file=out)
    print(_in_all(check.verdict for check in checks), file=out)


def _in_all(verdicts: Iterable[str]) -> str:
    found = list(verdicts)
    if n := found.count("bad"):
        return f"{n} to be put right before a run."
    warnings = found.count("warning")
    return f"A run can start{f'; {warnings} to know of' if warnings else ''}."
