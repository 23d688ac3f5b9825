"""Settings and ledger of a flow run: handed over by the command line, or made here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from prefect.runtime import deployment

from flows.events import RUN_ENDED, emit
from flows.joining import refuse_joining
from reelbatch.config import Settings, read_settings
from reelbatch.jobs import JobId, RowId
from reelbatch.ledger import Ledger, open_ledger
from reelbatch.logs import open_log
from reelbatch.run.handover import HANDOVER
from reelbatch.run.passing import in_container, refuse_passing_places
from reelbatch.run.plan import Plan
from reelbatch.run.request import GenerateRequest


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where a flow run sits down to work."""

    request: GenerateRequest
    settings: Settings
    ledger: Ledger
    passes: bool
    """Whether this machine may be gone tomorrow."""
    only: frozenset[RowId] | None = None
    """The rows a `retry` is for."""
    only_jobs: frozenset[JobId] | None = None
    opened: Callable[[], None] = field(default=lambda: None)
    """To be called once nothing refuses the run any more."""

    def check(self, plan: Plan | None) -> None:
        """Raises Refused where a new batch's ledger or archive would be gone with the machine,
        or where the workers that are wished for could not join.
        """
        if self.passes and plan and plan.batch is None:
            refuse_passing_places(plan.settings)
        refuse_joining(self.request, self.ledger, plan)


@contextmanager
def at_desk(request: GenerateRequest) -> Iterator[Desk]:
    """Raises Refused where the ledger cannot be opened, or would die with this machine."""
    try:
        with _desk(request) as desk:
            yield desk
    finally:
        emit(RUN_ENDED)


@contextmanager
def _desk(request: GenerateRequest) -> Iterator[Desk]:
    if handover := HANDOVER.get():
        if handover.in_flow:
            handover.in_flow()
        # The command line has looked where it stands before it asked.
        yield Desk(
            request=request,
            settings=handover.settings,
            ledger=handover.ledger,
            passes=False,
            only=handover.only,
            only_jobs=handover.only_jobs,
            opened=handover.opened or (lambda: None),
        )
        return
    settings = read_settings(**request.settings_flags())
    open_log(settings.log_level)
    passes = deployment.id is not None or in_container()
    if passes and not settings.ledger:
        refuse_passing_places(settings)
    ledger = open_ledger(settings.ledger_url)
    try:
        yield Desk(request=request, settings=settings, ledger=ledger, passes=passes)
    finally:
        ledger.close()
