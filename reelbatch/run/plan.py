"""What a run would do: validate, compare, price, and say how long. Spends and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from reelbatch.config import Settings, for_manifest
from reelbatch.errors import Refused
from reelbatch.fal.endpoints import ENDPOINTS
from reelbatch.jobs import RowId, State
from reelbatch.ledger import Ledger, batches, entering, reading
from reelbatch.ledger.batches import Batch
from reelbatch.ledger.comparing import Comparison
from reelbatch.manifest import Fault, Manifest, load_manifest
from reelbatch.money import as_text
from reelbatch.run.prices import Prices
from reelbatch.run.request import GenerateRequest

GUESSED_SLOTS = (2, 10, 40)
"""fal gives a new account 2 and a grown one 40 (fal.md, section 6)."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A manifest beside the ledger: what is sound, what is new, what it costs."""

    request: GenerateRequest
    settings: Settings
    manifest: Manifest
    batch_name: str
    batch: Batch | None
    """None where the ledger does not know it yet."""
    selected: frozenset[RowId] | None
    """The rows a `--where` or `--skip-invalid` chose; None is all of them."""
    comparison: Comparison
    slots_seen: int | None
    run_seconds: float | None

    @property
    def faults(self) -> Sequence[Fault]:
        return self.manifest.faults

    @property
    def errors(self) -> list[Fault]:
        """What stands in the way; with `--strict` a warning does too."""
        strict = self.request.strict
        return [fault for fault in self.faults if strict or fault.severity == "error"]

    @property
    def complete(self) -> bool:
        """Whether all of the manifest is here, so that what is absent was removed."""
        return not self.manifest.errors

    @property
    def jobs(self) -> int:
        found = self.comparison
        return len(found.new) + len(found.edited) + len(found.kept) + len(found.back)

    @property
    def to_pay(self) -> list[str]:
        """The endpoint of every job this run would have to buy."""
        copies = self.comparison.copies
        return [
            str(job.values["endpoint_id"])
            for job in self.comparison.to_enter
            if job.values["id"] not in copies and self._is_chosen(RowId(job.values["row_id"]))
        ]

    @property
    def waiting(self) -> int:
        """Jobs entered by an earlier run and not bought yet."""
        open_states = (State.PENDING, State.CANCELLED)
        held = [*self.comparison.kept, *self.comparison.back]
        return sum(job.state in open_states for job in held if self._is_chosen(job.row_id))

    @property
    def summary(self) -> str:
        """One line of it: what the manifest has, and what of it is to be bought."""
        found = self.comparison
        return (
            f"{len(self.manifest.rows)} sound rows in {self.manifest.file_name}, {self.jobs} "
            f"videos; new {len(found.new)}, edited {len(found.edited)}, "
            f"withdrawn {len(found.withdrawn)}, kept {len(found.kept) + len(found.back)}, "
            f"reused {found.reused}; to buy {len(self.to_pay) + self.waiting}"
        )

    def _is_chosen(self, row_id: RowId) -> bool:
        return self.selected is None or row_id in self.selected

    def cost_usd(self, prices: Prices) -> Decimal:
        """Dollars for what is still to be bought."""
        bought = sum((prices.of(endpoint) for endpoint in self.to_pay), Decimal(0))
        return bought + self.waiting * prices.highest

    def hours(self) -> dict[int, float]:
        """How long it takes, by slots: those the account last showed, else three guesses."""
        seconds = self.run_seconds or max(e.run_seconds for e in ENDPOINTS.values())
        slots = (self.slots_seen,) if self.slots_seen else GUESSED_SLOTS
        count = len(self.to_pay) + self.waiting
        return {n: seconds * -(-count // n) / 3600 for n in slots}


def make_plan(
    request: GenerateRequest,
    settings: Settings,
    ledger: Ledger | None,
    *,
    progress: Callable[[int], None] | None = None,
) -> Plan:
    """Read the manifest and compare it with the ledger; `ledger` None: nothing is known yet.

    Raises Refused for a batch name or selection that cannot be; bad rows are faults of the plan.
    """
    if request.manifest is None:
        raise Refused(
            "Neither a manifest nor a batch was named; nothing was submitted.",
            advice="Say which manifest to run, or which batch to carry on.",
        )
    known = batches.images_read_before(ledger) if ledger else {}
    manifest = load_manifest(
        request.manifest,
        settings=settings,
        fetch=not request.no_fetch,
        known_images=known,
        progress=progress,
    )
    name = _batch_name(request, manifest)
    batch = _batch(request, settings, ledger, manifest, name)
    selected = select_rows(request, manifest)
    facts = reading.account_facts(ledger, settings.account_id) if ledger else None
    return Plan(
        request=request,
        settings=for_manifest(
            settings,
            request.settings_flags(),
            archive=manifest.archive,
            budget_usd=manifest.budget_usd,
        ),
        manifest=manifest,
        batch_name=name,
        batch=batch,
        selected=selected,
        comparison=entering.preview(
            ledger,
            batch,
            settings.queue_identity,
            manifest.rows,
            selected=set(selected) if selected is not None else None,
            complete=not manifest.errors,
            fresh=request.fresh,
        ),
        slots_seen=facts.slots_seen if facts else None,
        run_seconds=facts.run_seconds if facts else None,
    )


def _batch(
    request: GenerateRequest,
    settings: Settings,
    ledger: Ledger | None,
    manifest: Manifest,
    name: str,
) -> Batch | None:
    """As the ledger knows it. Raises Refused where the name is another account's or place's."""
    batch = batches.find_batch(ledger, name) if ledger else None
    if batch:
        batches.check_batch(
            batch,
            account_id=settings.account_id,
            place=manifest.place,
            named_by_hand=request.batch is not None,
        )
    return batch


def _batch_name(request: GenerateRequest, manifest: Manifest) -> str:
    from reelbatch.manifest.names import batch_name

    return batch_name(request.batch or manifest.name, datetime.now(UTC).date())


def select_rows(request: GenerateRequest, manifest: Manifest) -> frozenset[RowId] | None:
    """The rows that `--where` chose, or the sound ones of a manifest with faults; None: all."""
    from reelbatch.manifest.select import parse_where, select

    if not request.where:
        return frozenset(row.row_id for row in manifest.rows) if manifest.errors else None
    found = select(manifest.rows, [parse_where(text) for text in request.where])
    chosen = frozenset(row.row_id for row in found)
    if not chosen and manifest.rows:
        raise Refused(
            f"No row has {' and '.join(request.where)}.",
            advice="Check the column and the value; nothing was submitted.",
        )
    return chosen


def as_json(plan: Plan, prices: Prices) -> dict[str, Any]:
    """The document of `plan --json`; its keys are a contract."""
    found = plan.comparison
    return {
        "manifest": plan.manifest.place,
        "batch": plan.batch_name,
        "rows": len(plan.manifest.rows) + _faulty_rows(plan.manifest),
        "jobs": plan.jobs,
        "sound_rows": len(plan.manifest.rows),
        "new": len(found.new),
        "edited": len(found.edited),
        "withdrawn": len(found.withdrawn),
        "kept": len(found.kept) + len(found.back),
        "reused": found.reused,
        "cost_usd": as_text(plan.cost_usd(prices)),
        "hours": {str(slots): round(hours, 2) for slots, hours in plan.hours().items()},
        "faults": [fault_as_json(fault) for fault in plan.faults],
    }


def _faulty_rows(manifest: Manifest) -> int:
    sound = {(row.file, row.line) for row in manifest.rows}
    return len(
        {
            (fault.file, fault.line)
            for fault in manifest.errors
            if fault.line > 1 and (fault.file, fault.line) not in sound
        }
    )


def fault_as_json(fault: Fault) -> dict[str, Any]:
    names = ("file", "line", "column", "code", "message", "advice", "severity")
    return {name: getattr(fault, name) for name in names}
