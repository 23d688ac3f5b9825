"""What the command line hands to the flow, and gets back from it, within one process.

Under a worker nobody hands anything over, and the flow makes all of it itself.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from reelbatch.config import Settings
from reelbatch.errors import ReelbatchError
from reelbatch.jobs import JobId, RowId
from reelbatch.ledger import Ledger
from reelbatch.run.plan import Plan
from reelbatch.run.progress import Listener
from reelbatch.run.run import Run
from reelbatch.run.totals import Totals


@dataclass(kw_only=True)
class Handover:
    """Set by the command: settings, ledger, plan, listeners. Set by the flow: the rest."""

    settings: Settings
    ledger: Ledger
    plan: Plan | None = None
    only: frozenset[RowId] | None = None
    """The rows a `retry` is for; None is all of them."""
    only_jobs: frozenset[JobId] | None = None
    """And those of their takes that it buys."""
    opened: Callable[[], None] | None = None
    """What a person's word changes: called once nothing refuses the run, before it buys."""
    listeners: list[Listener] = field(default_factory=list)
    run: Run | None = None
    totals: Totals | None = None
    refusal: ReelbatchError | None = None
    interrupted: bool = False
    by_person: bool = False
    """Whether it was a Ctrl-C: SIGTERM is a machine's word."""
    in_flow: Callable[[], None] | None = None
    """Called by the flow as it begins."""

    def interrupt(self, *, by_person: bool) -> None:
        """The first Ctrl-C or SIGTERM: no new claims, and go."""
        self.interrupted, self.by_person = True, by_person
        if self.run is not None:
            self.run.leave()


HANDOVER: ContextVar[Handover | None] = ContextVar("handover", default=None)
