"""Reconcile: what fal says it ran and billed, against what the ledger holds. Nothing may be left.

fal's list is the account's, so it names other people's work too: ours is what an attempt holds,
or what has a body of this batch. What was read once is remembered; fal's records may lag, so
the last day is always read again.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from reelbatch.config import Settings
from reelbatch.errors import Permanent, Refused
from reelbatch.fal.answers import GoodResult, ListedRequest
from reelbatch.fal.client import Fal
from reelbatch.fal.endpoints import ENDPOINTS
from reelbatch.fal.outputs import good_result
from reelbatch.ledger import Ledger, reconciling, results, strays
from reelbatch.ledger.batches import Batch
from reelbatch.ledger.doubts import doubts_of
from reelbatch.ledger.reconciling import Books, Sent
from reelbatch.ledger.strays import Stray
from reelbatch.ledger.unknown_calls import UnknownCall, calls_nobody_knows
from reelbatch.money import as_text
from reelbatch.run.entries import good_of, handle_of
from reelbatch.run.evidence import covers
from reelbatch.run.journal import Journal
from reelbatch.run.prices import Prices, read_prices

MARGIN = timedelta(minutes=30)
"""fal does not say which of its times `start` and `end` filter on."""
AT_ONCE = 1000
TOLD = 100
LONGEST_BILL = timedelta(days=89)
"""fal shows no more than 90 days of its bill at a time (fal.md, section 9)."""


@dataclass(frozen=True, kw_only=True)
class Reconciled:
    """How ledger and fal compare, for the whole batch."""

    batch: str
    since: datetime | None
    """From when on fal's records were read this time; None when nothing was ever sent."""
    books: Books
    strays: Sequence[Stray]
    adopted: int
    in_doubt: int
    made: int
    """Requests that our books call failed, and whose video fal's list shows."""
    unknown: int
    """Requests of the account that nobody here holds and whose input is not ours or not shown."""
    bill_read: bool
    unknown_calls: Sequence[UnknownCall]
    """Webhooks about requests that this ledger never sent; of no batch, so left over of none."""

    @property
    def left_over(self) -> bool:
        unpaid = self.bill_read and self.books.unbilled
        return bool(self.strays or self.made or self.in_doubt or unpaid)

    def as_json(self) -> dict[str, Any]:
        """The document of `--json`; its keys are a contract."""
        books = self.books
        return {
            "batch": self.batch,
            "held": books.held,
            "fal": books.listed + len(self.strays),
            "strays": len(self.strays) + self.made,
            "unbilled": books.unbilled if self.bill_read else None,
            "held_usd": as_text(books.held_usd),
            "billed_usd": as_text(books.billed_usd) if self.bill_read else None,
            "unknown_calls": [_as_json(call) for call in self.unknown_calls],
        }


def _as_json(call: UnknownCall) -> dict[str, Any]:
    times = {"first_heard_at", "last_heard_at"}
    return {k: v.isoformat() if k in times else v for k, v in asdict(call).items()}


async def reconcile(
    settings: Settings, ledger: Ledger, batch: Batch, fal: Fal, *, adopt: bool
) -> Reconciled:
    """Read fal's list and bill, and compare. Raises Transient; Refused where the key may not."""
    at = datetime.now(UTC)
    since = reconciling.read_from(ledger, batch.id)
    unknown, bill_read, adopted = 0, False, 0
    made: dict[str, GoodResult] = {}
    if since is not None:
        unknown, made = await _read_list(ledger, batch, fal, since, at)
        bill_read = await _read_bill(ledger, batch, fal, since, at)
        if adopt:
            prices = await read_prices(settings, fal)
            adopted = _adopt(ledger, batch, fal, prices) + _settled(ledger, made, prices.highest)
            made = {}
        if not made:
            waits = timedelta(seconds=settings.start_timeout + settings.in_doubt_grace)
            reconciling.compared_until(ledger, batch.id, at - waits)
    found = Reconciled(
        batch=batch.name,
        since=since,
        books=reconciling.books_of(ledger, batch.id, at),
        strays=strays.strays_of(ledger, batch.id),
        adopted=adopted,
        in_doubt=len(doubts_of(ledger, batch.id)),
        made=len(made),
        unknown=unknown,
        bill_read=bill_read,
        unknown_calls=calls_nobody_knows(ledger),
    )
    _tell(found)
    return found


def _tell(found: Reconciled) -> None:
    """In the log, what is left over; the command itself tells it to people."""
    journal, books = Journal(found.batch), found.books
    journal.say(f"compared with fal: {books.held} requests held, {books.listed} of them listed")
    for stray in found.strays[:TOLD]:
        journal.say(
            f"stray: {stray.request_id}, a request of job {stray.job_id}",
            level=logging.WARNING,
            reported=True,
            job_id=stray.job_id,
            request_id=stray.request_id,
        )
    if n := len(found.unknown_calls):
        journal.warn(f"webhooks came for {n} requests that were never sent", reported=True)


async def _read_list(
    ledger: Ledger, batch: Batch, fal: Fal, since: datetime, at: datetime
) -> tuple[int, dict[str, GoodResult]]:
    """Note what is ours and what is astray; returns how many requests are neither, and what
    was made by attempts that we call failed.
    """
    offset = timedelta(seconds=fal.clock_offset_seconds)
    made: dict[str, GoodResult] = {}
    unheld: list[ListedRequest] = []
    for endpoint_id in reconciling.endpoints_of(ledger, batch.id):
        found = fal.requests(endpoint_id, start=since + offset - MARGIN, end=at + offset + MARGIN)
        try:
            async for some in _in_groups(found):
                held = reconciling.listed(ledger, {str(one.request_id) for one in some}, at)
                unheld += [one for one in some if one.request_id not in held]
                made |= _made(ledger, some)
        except Permanent as error:
            raise Refused(
                f"fal does not show this key its list of requests: {error.message}",
                advice="Use a key of this account that may read it.",
            ) from error
    ours = list(_astray(reconciling.bodies_sent(ledger, batch.id), unheld, offset))
    strays.note_strays(ledger, batch.id, ours)
    return len(unheld) - len(ours), made


def _made(ledger: Ledger, some: Sequence[ListedRequest]) -> dict[str, GoodResult]:
    """The good results among these of attempts that our books call failed."""
    good = {}
    for one in some:
        result = good_result(one.json_output, ENDPOINTS[one.endpoint_id].output)
        if result is not None and one.status_code in range(200, 300):
            good[str(one.request_id)] = result
    return {
        attempt_id: good[request_id]
        for request_id, attempt_id in reconciling.failed_here(ledger, set(good)).items()
    }


def _settled(ledger: Ledger, made: Mapping[str, GoodResult], price: Decimal) -> int:
    """It was paid, however late we hear of it: a job without a video takes it."""
    for attempt_id, answer in made.items():
        results.settle_good(ledger, attempt_id, good_of(answer), price)
    return len(made)


async def _in_groups(found: AsyncIterator[ListedRequest]) -> AsyncIterator[list[ListedRequest]]:
    group: list[ListedRequest] = []
    async for one in found:
        group.append(one)
        if len(group) == AT_ONCE:
            yield group
            group = []
    yield group


def _astray(
    sent: Iterable[Sent], unheld: Iterable[ListedRequest], offset: timedelta
) -> Iterable[Stray]:
    """Those with a body of ours. One whose POST is on the wire now is nobody's stray."""
    by_prompt: dict[tuple[str, Any], list[Sent]] = defaultdict(list)
    for one in sent:
        by_prompt[one.endpoint_id, one.body.get("prompt")].append(one)
    for listed in unheld:
        shown = listed.json_input or {}
        alike = by_prompt.get((listed.endpoint_id, shown.get("prompt")), [])
        ours = [one for one in alike if covers(shown, one.body)]
        if not ours:
            continue
        sent_at = listed.sent_at - offset
        nearest = min(ours, key=lambda one: abs(one.claimed_at - sent_at))
        if nearest.outcome is not None:
            yield Stray(
                request_id=str(listed.request_id),
                job_id=nearest.job_id,
                endpoint_id=listed.endpoint_id,
                sent_at=sent_at,
            )


async def _read_bill(ledger: Ledger, batch: Batch, fal: Fal, since: datetime, at: datetime) -> bool:
    """Book fal's own lines. False where the key has no right to read the bill."""
    offset = timedelta(seconds=fal.clock_offset_seconds)
    since = max(since, at - LONGEST_BILL)
    bill: dict[str, Decimal] = {}
    for endpoint_id in reconciling.endpoints_of(ledger, batch.id):
        lines = fal.billing_events(
            start=since + offset - MARGIN, end=at + offset + MARGIN, endpoint_id=endpoint_id
        )
        try:
            async for line in lines:
                bill[str(line.request_id)] = bill.get(str(line.request_id), Decimal(0)) + line.usd
        except Permanent as error:
            if error.error != "not_allowed":
                raise
            return False
    reconciling.billed(ledger, bill)
    return True


def _adopt(ledger: Ledger, batch: Batch, fal: Fal, prices: Prices) -> int:
    """Each stray becomes an attempt of its job; the next run collects or books it."""
    adopted = 0
    for stray in strays.strays_of(ledger, batch.id):
        handle = handle_of(fal.submission(stray.endpoint_id, stray.request_id))
        adopted += strays.adopt(ledger, stray, handle, prices.of(stray.endpoint_id))
    return adopted
