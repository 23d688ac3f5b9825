"""One check: what was found, in words without secrets, and what to do about it.

Each has a few seconds, runs beside the others, and stops none of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from reelbatch.errors import ReelbatchError
from reelbatch.urls import without_queries

LIMIT_SECONDS = 10.0

Verdict = Literal["ok", "warning", "bad", "skipped"]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a look has found. `skipped`: there was nothing to look at."""

    verdict: Verdict
    message: str
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A look by name; its keys are a contract (`doctor --json`)."""

    name: str
    verdict: Verdict
    message: str
    advice: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


Look = Callable[[], Awaitable[Found]]


def ok(message: str) -> Found:
    return Found(verdict="ok", message=message)


def warning(message: str, advice: str) -> Found:
    return Found(verdict="warning", message=message, advice=advice)


def bad(message: str, advice: str) -> Found:
    return Found(verdict="bad", message=message, advice=advice)


def skipped(message: str) -> Found:
    return Found(verdict="skipped", message=message)


async def looked(name: str, look: Look) -> Check:
    """The look's finding, whatever happens to it."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            found = await look()
    except TimeoutError:
        found = bad(f"No answer within {LIMIT_SECONDS:g} s.", "Check the network, and look again.")
    except ReelbatchError as error:
        found = bad(error.message, error.advice)
    except Exception as error:  # one broken check must not hide the others
        found = bad(f"The check itself failed: {type(error).__name__}.", "Please report it.")
    message = without_queries(found.message)
    return Check(name=name, verdict=found.verdict, message=message, advice=found.advice)
