"""The check-up itself, and what it found, as people read it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from reelbatch.config import Settings
from reelbatch.run.canary.catcher import standing_in
from reelbatch.run.checkup.check import Check
from reelbatch.run.checkup.everything import check_up

INDENT = " " * 21


def examine(settings: Settings, environment: Mapping[str, str], *, canary: bool) -> list[Check]:
    """Every check; before a canary its own receiver may stand in for `reelbatch serve`."""

    async def look() -> list[Check]:
        async with standing_in(settings, wanted=canary):
            return await check_up(settings, environment)

    return asyncio.run(look())


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
