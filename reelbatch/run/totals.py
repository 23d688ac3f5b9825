"""How a batch stands at the end of a command: counts, money, failures, exit status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from reelbatch.config import REHEARSAL
from reelbatch.jobs import RowId
from reelbatch.ledger import Ledger, parking, reading
from reelbatch.ledger.batches import MARKED, Batch
from reelbatch.ledger.doubts import doubts_of
from reelbatch.ledger.parking import Parked
from reelbatch.ledger.reading import AtFal, Counts, FailedJob, Unkept
from reelbatch.money import as_text
from reelbatch.run.stopping import StopReason

SHOWN_FAILURES = 20
RESULTS_LIVE = timedelta(hours=1)
"""At fal, after a request has ended (fal.md, section 3.7)."""
NOTHING_AT_FAL = AtFal(jobs=0, accepted_at=None)


@dataclass(frozen=True, kw_only=True)
class Totals:
    """One command's outcome. `counts` is the whole batch, `chosen` what this command was for."""

    batch: str
    archive: str
    counts: Counts
    chosen: Counts
    failures: Sequence[FailedJob]
    causes: dict[str, int]
    stopped: StopReason | None
    """None as well where the stop came when nothing was left to do."""
    stop_detail: str
    spent_usd: Decimal
    """Since the run began, whoever else was at work; the batch's own sum is in `counts`."""
    elapsed_seconds: float
    results_until: datetime | None = None
    """Until when, at least, fal keeps what we have not fetched and archived yet."""
    at_fal: int = 0
    """How many results that are."""
    unkept: Sequence[Unkept] = ()
    """Why made videos are not in the archive yet."""
    slots_seen: int | None = None
    """How many of the account's requests fal ran at once, when somebody last looked."""
    doubted_usd: Decimal = Decimal(0)
    """What may have been paid for submissions without an answer."""
    doubts_until: datetime | None = None
    """From when on the last of them can be settled."""
    parked: Parked | None = None
    """Why the account buys nothing now, where there is something left to buy."""
    by_run: bool = True
    """Whether a run stands behind this, or only a look."""
    rehearsal: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        """0 all archived, 3 some failed or are in doubt, 4 stopped early (4 beats 3)."""
        if self.chosen.remaining or self.chosen.cancelled:
            return 4
        return 3 if self.chosen.failed or self.chosen.in_doubt else 0

    @property
    def summary(self) -> str:
        """One sentence: what was made, what was not, what it cost."""
        counts = self.counts
        parts = [f"{counts.archived} of {counts.jobs} archived"]
        parts += [
            f"{n} {word}"
            for n, word in (
                (counts.failed, "failed"),
                (counts.in_doubt, "in doubt"),
                (counts.cancelled, "cancelled"),
                (counts.remaining, "to do"),
            )
            if n
        ]
        return f"{', '.join(parts)}; ${as_text(self.spent_usd)} spent."

    def as_json(self) -> dict[str, Any]:
        """The document of `--json`; its keys are a contract."""
        counts = self.counts
        return {
            "batch": self.batch,
            "jobs": counts.jobs,
            "archived": counts.archived,
            "failed": counts.failed,
            "in_doubt": counts.in_doubt,
            "cancelled": counts.cancelled,
            "remaining": counts.remaining,
            "reused": counts.reused,
            "spent_usd": as_text(self.spent_usd),
            "stopped": self.stopped,
            "archive": self.archive,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            "failures": [_failure(failed) for failed in self.failures],
        }


def _failure(failed: FailedJob) -> dict[str, Any]:
    names = ("row_id", "take", "line", "error", "message", "request_id")
    return {name: getattr(failed, name) for name in names}


def read_totals(
    ledger: Ledger,
    batch: Batch,
    *,
    selected: frozenset[RowId] | None = None,
    stopped: StopReason | None = None,
    stop_detail: str = "",
    spent_before: Decimal | None = None,
    elapsed_seconds: float = 0.0,
    warnings: Sequence[str] = (),
) -> Totals:
    """The batch as the ledger has it now; `spent_before` is what it had cost before this run."""
    counts = reading.counts(ledger, batch.id)
    doubts = doubts_of(ledger, batch.id) if counts.in_doubt else []
    at_fal = reading.at_fal(ledger, batch.id) if counts.remaining else NOTHING_AT_FAL
    facts = reading.account_facts(ledger, batch.account_id)
    chosen = counts if selected is None else reading.counts(ledger, batch.id, selected=selected)
    return Totals(
        batch=batch.name,
        archive=batch.archive,
        counts=counts,
        chosen=chosen,
        failures=reading.failures(ledger, batch.id) if counts.failed else [],
        causes=reading.failure_causes(ledger, batch.id) if counts.failed else {},
        stopped=stopped if chosen.remaining or chosen.cancelled else None,
        stop_detail=stop_detail,
        spent_usd=counts.spent_usd - (spent_before or Decimal(0)),
        slots_seen=facts.slots_seen if facts else None,
        doubted_usd=sum((doubt.reserved_usd for doubt in doubts), Decimal(0)),
        doubts_until=max((doubt.deadline_at for doubt in doubts), default=None),
        parked=parking.parked(ledger, batch.account_id) if counts.pending else None,
        by_run=spent_before is not None,
        rehearsal=batch.queue_url == REHEARSAL,
        elapsed_seconds=elapsed_seconds,
        results_until=at_fal.accepted_at + RESULTS_LIVE if at_fal.accepted_at else None,
        at_fal=at_fal.jobs,
        unkept=reading.unkept(ledger, batch.id) if counts.completed else (),
        warnings=tuple(warnings),
    )


def totals_without_run(ledger: Ledger, batch: Batch) -> Totals:
    """The same for those who only look: what a person has ordered stops the batch."""
    return read_totals(ledger, batch, stopped=MARKED[batch.mark] if batch.mark else None)
