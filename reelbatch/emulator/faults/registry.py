"""The list of faults: a name, the moment it strikes, one line about it, its parameters.

A fault is a function; its name, docstring and keyword arguments are all there is to declare.
"""

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from reelbatch.emulator.faults.moments import Moment

Strike = Callable[..., Any]
AnyStrike = TypeVar("AnyStrike", bound=Strike)


@dataclass(frozen=True, kw_only=True)
class Fault:
    name: str
    moment: Moment
    line: str
    parameters: dict[str, Any]
    choices: Mapping[str, Collection[str]]
    strike: Strike
    wants_luck: bool

    def check(self, given: dict[str, Any]) -> None:
        """Raises ValueError for a parameter, or a choice, that this fault does not have."""
        for name in given:
            if name not in self.parameters:
                has = ", ".join(self.parameters) or "none"
                raise ValueError(f"fault '{self.name}' has no parameter '{name}' (it has: {has})")
            allowed = self.choices.get(name)
            if allowed is not None and given[name] not in allowed:
                raise ValueError(f"'{name}' of '{self.name}' is one of {', '.join(allowed)}")

    def shown(self) -> str:
        """One line, and what can be set."""
        given = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"{self.name}({given}): {self.line}"


FAULTS: dict[str, Fault] = {}


def fault(
    at: Moment, choices: Mapping[str, Collection[str]] | None = None
) -> Callable[[AnyStrike], AnyStrike]:
    def register(strike: AnyStrike) -> AnyStrike:
        keywords = [
            parameter
            for parameter in inspect.signature(strike).parameters.values()
            if parameter.kind is parameter.KEYWORD_ONLY
        ]
        FAULTS[strike.__name__] = Fault(
            name=strike.__name__,
            moment=at,
            line=(inspect.getdoc(strike) or "").split("\n")[0],
            parameters={each.name: each.default for each in keywords if each.name != "luck"},
            choices=choices or {},
            strike=strike,
            wants_luck=any(each.name == "luck" for each in keywords),
        )
        return strike

    return register


def by_moment() -> dict[Moment, list[Fault]]:
    """In the order of a request's life."""
    moments: tuple[Moment, ...] = get_args(Moment)
    return {at: [each for each in FAULTS.values() if each.moment == at] for at in moments}
