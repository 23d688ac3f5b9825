"""Take a manifest in: what batch it is, whether it may run, and where it is filed in the end.

A batch is named by its manifest's content, so the ledger knows it again whoever takes it in,
and however often. Only a batch that has ended lets its manifest go.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from reelbatch.archive.inbox import Inbox
from reelbatch.config import Settings
from reelbatch.errors import ReelbatchError, Refused
from reelbatch.ledger import Ledger, batches, reading
from reelbatch.logs import say
from reelbatch.manifest import Fault
from reelbatch.manifest.names import made_safe
from reelbatch.run.plan import Plan, make_plan
from reelbatch.run.request import InboxRequest
from reelbatch.run.taken import Outcome, Taken, faults_as_csv
from reelbatch.run.totals import Totals

AT_ONCE = 4
LOOK_AGAIN_SECONDS = 30.0
"""While some are at work; a small manifest need not wait for a large one."""
LONGEST_STEM = 100

log = logging.getLogger("reelbatch.inbox")


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A manifest in the inbox, read."""

    name: str
    content: bytes

    @property
    def batch(self) -> str:
        """Its stem and a hash of its content: the same bytes are the same batch."""
        stem = made_safe(self.name.rpartition(".")[0], empty="manifest")[:LONGEST_STEM]
        return f"{stem}-{hashlib.sha256(self.content).hexdigest()[:8]}"


async def each_taken_in(
    inbox: Inbox, take_in: Callable[[Arrival], Awaitable[Taken]]
) -> list[Taken]:
    """Every manifest that lies there, or comes while others are at work: each of them once."""
    seen: set[tuple[str, str]] = set()
    work: set[asyncio.Task[Taken]] = set()
    taken: list[Taken] = []
    try:
        while True:
            for arrival in await asyncio.to_thread(_new, inbox, seen, AT_ONCE - len(work)):
                work.add(asyncio.create_task(_kept_going(take_in, arrival)))
            if not work:
                return taken
            done, work = await asyncio.wait(
                work, timeout=LOOK_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            for one in done:
                say(log, logging.INFO, f"inbox: {one.result()}")
            taken += [one.result() for one in done]
    finally:
        for one in work:
            one.cancel()
        await asyncio.gather(*work, return_exceptions=True)


def _new(inbox: Inbox, seen: set[tuple[str, str]], room: int) -> list[Arrival]:
    fresh = [one for one in inbox.arrived().items() if one not in seen][:room]
    seen.update(fresh)
    read = [(name, inbox.read(name)) for name, _ in fresh]
    return [Arrival(name=name, content=content) for name, content in read if content is not None]


async def _kept_going(take_in: Callable[[Arrival], Awaitable[Taken]], arrival: Arrival) -> Taken:
    """One that cannot be taken in does not keep the others waiting."""
    try:
        return await take_in(arrival)
    except ReelbatchError as error:
        return Taken(name=arrival.name, outcome="refused", words=f"stays: {error}")


async def planned(
    arrival: Arrival, request: InboxRequest, inbox: Inbox, settings: Settings, ledger: Ledger
) -> Plan | None:
    """Its plan; None where the ledger has its rows already, and the batch is carried on."""
    batch = batches.find_batch(ledger, arrival.batch)
    if batch and reading.counts(ledger, batch.id).jobs:
        return None
    wanted = request.for_batch(arrival.batch, inbox.place_of(arrival.name))
    return await asyncio.to_thread(make_plan, wanted, settings, ledger)


def is_another(plan: Plan, arrival: Arrival) -> bool:
    """Whether something else, or nothing, lies there by now."""
    return plan.manifest.content != arrival.content


def faults_of(plan: Plan, request: InboxRequest) -> list[Fault]:
    """Why it is rejected. What could only not be reached now is no fault of its own.

    Raises Refused where that is all that is wrong.
    """
    errors = list(plan.errors)
    if len(plan.manifest.rows) > request.max_rows:
        errors.append(_too_many(plan, request.max_rows))
    if errors and all(_passes(fault) for fault in errors):
        raise Refused(str(errors[0]))
    return errors


def _passes(fault: Fault) -> bool:
    return fault.code.endswith("unreachable")


def _too_many(plan: Plan, most: int) -> Fault:
    return Fault(
        file=plan.manifest.file_name,
        line=0,
        column=None,
        code="too-many-rows",
        message=f"It has {len(plan.manifest.rows)} rows; this inbox takes {most} at most.",
        advice="Split it, or have the inbox's limit raised.",
    )


async def reject(inbox: Inbox, arrival: Arrival, faults: list[Fault]) -> Taken:
    """File it under `rejected/`, with every fault beside it."""
    report = faults_as_csv(faults)
    key = await asyncio.to_thread(
        inbox.file_away, arrival.name, arrival.content, "rejected", report=report
    )
    count = f"{len(faults)} fault{'' if len(faults) == 1 else 's'}"
    return Taken(name=arrival.name, outcome="rejected", words=f"rejected, {count} in {key}")


async def file_away(inbox: Inbox, arrival: Arrival, totals: Totals) -> Taken:
    """A batch that has ended lets its manifest go; one that stopped early is carried on."""
    if totals.exit_status not in (0, 3):
        reason = f" ({totals.stopped})" if totals.stopped else ""
        return Taken(name=arrival.name, outcome="stays", words=f"stays{reason}: {totals.summary}")
    await asyncio.to_thread(inbox.file_away, arrival.name, arrival.content, "done")
    outcome: Outcome = "done" if totals.exit_status == 0 else "partly"
    return Taken(name=arrival.name, outcome=outcome, words=totals.summary)
