"""From options to a request, and the question before money is spent."""

from __future__ import annotations

import sys
from typing import Any

from pydantic import ValidationError

from reelbatch.errors import Refused
from reelbatch.run.request import GenerateRequest

OPTIONS = {
    "budget_usd": "--budget",
    "budget_per_day_usd": "--budget-per-day",
    "price_usd": "--price",
}


def request_of(**options: Any) -> GenerateRequest:
    """The request these options make; those that are None were not given. Raises Refused."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return GenerateRequest(**given)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        name = str(fault["loc"][0])
        option = OPTIONS.get(name, "--" + name.replace("_", "-"))
        reason = fault["msg"].removeprefix("Value error, ")
        raise Refused(f"{option}: {reason}.", advice="See `reelbatch run --help`.") from None


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless told not to. Without a terminal to ask at it refuses, and never hangs."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(
            "There is no terminal to ask at, and nothing was submitted.",
            advice="Say --yes to run without a question.",
        )
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("Nothing was submitted.")
