"""What a sweep came upon in one batch, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from reelbatch.jobs import State

WORDS = {
    State.ARCHIVED: "archived",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
    State.COMPLETED: "made and not archived yet",
    State.SUBMITTED: "still at fal",
    State.SUBMITTING: "on the way to fal",
    State.IN_DOUBT: "in doubt",
    State.PENDING: "free for the next run to submit",
}


@dataclass(frozen=True, kw_only=True)
class Swept:
    """One batch after a sweep; `refusal` is why it could not be swept."""

    batch: str
    states: Counter[State] = field(default_factory=Counter)
    troubles: Sequence[str] = ()
    """What kept some from going on."""
    refusal: str = ""

    def __str__(self) -> str:
        """`cats: 2 archived, 1 still at fal`"""
        return f"{self.batch}: {self.words}"

    @property
    def words(self) -> str:
        found = [f"{self.states[state]} {words}" for state, words in WORDS.items()]
        said = ", ".join(one for one in found if not one.startswith("0 "))
        reasons = f" ({'; '.join(self.troubles)})" if self.troubles else ""
        return f"{self.refusal or said}{reasons}"
