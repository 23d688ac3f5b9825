"""The list of faults: a name, the moment it strikes, one line about it, its parameters.

A fault is a function; its name, docstring and keyword arguments are all there is to declare.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from reelbatch.emulator.faults.moments import Moment

Strike = Callable[..., Any]
AnyStrike = TypeVar("AnyStrike", bound=Strike)


@dataclass(frozen=True, kw_only=True)
class Fault:
    name: str
    moment: Moment
    line: str
    parameters: dict[str, Any]
    strike: Strike
    wants_luck: bool

    def refuse_unknown(self, given: dict[str, Any]) -> None:
        """Raises ValueError for a parameter that this fault does not have."""
        for name in given:
            if name not in self.parameters:
                has = ", ".join(self.parameters) or "none"
                raise ValueError(f"fault '{self.name}' has no parameter '{name}' (it has: {has})")


FAULTS: dict[str, Fault] = {}


def fault(at: Moment) -> Callable[[AnyStrike], AnyStrike]:
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
            strike=strike,
            wants_luck=any(each.name == "luck" for each in keywords),
        )
        return strike

    return register
