"""One process at work on one batch: what the stages share, and the way to stop them.

The ledger is the only meeting place of stages and processes; a run holds nothing that
would be missed if it died.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, ParamSpec, TypeVar

from reelbatch.archive.contract import Archive
from reelbatch.archive.keeper import Keeper
from reelbatch.config import Settings
from reelbatch.fal.answers import KeyCheck
from reelbatch.fal.client import Fal
from reelbatch.jobs import JobId, RowId, State
from reelbatch.ledger import Ledger, answers, orders, parking, reading
from reelbatch.ledger.batches import Batch
from reelbatch.ledger.claims import Terms
from reelbatch.media.fetch import Fetcher
from reelbatch.media.remote import Remote
from reelbatch.run.bookkeeping import Bookkeeper
from reelbatch.run.elsewhere import Elsewhere
from reelbatch.run.gate import Gate
from reelbatch.run.journal import Journal
from reelbatch.run.polling import Poller
from reelbatch.run.prices import Prices
from reelbatch.run.request import GenerateRequest
from reelbatch.run.run_times import RunTimes
from reelbatch.run.stopping import ADVICE, StopReason

P = ParamSpec("P")
T = TypeVar("T")

FIRST_ANSWERS = 10
UNREACHABLE_FOR = timedelta(minutes=10)
ARCHIVE_REFUSALS = 3
HEARD_LATELY_SECONDS = 10.0
UPLOADS_AT_ONCE = 8
"""All images at once over a thin line, and none arrives before it is given up. Fewer than the
porters, so that videos are brought home however slowly images are read."""
VIDEOS_AT_ONCE = 16
OVERDUE_SECONDS = 60.0
"""A job that somebody else drives is taken over when nothing has moved for so long."""


@dataclass(kw_only=True, eq=False)
class Run:
    """Settings, connections, and where this run stands."""

    request: GenerateRequest
    settings: Settings
    ledger: Ledger
    batch: Batch
    selected: frozenset[RowId] | None
    fal: Fal
    archive: Archive
    keeper: Keeper
    fetcher: Fetcher
    remote: Remote
    prices: Prices
    window: int
    """Requests in flight, for the account: this run's own wish, or what a person ordered since.
    With `auto`, what was known of it a moment ago: the claim reads it anew."""
    bookkeeper: Bookkeeper
    porters: Executor
    """Threads for what moves bytes and blocks."""
    poller: Poller
    started_at: datetime
    sweeps: bool = False
    """Whether it only finishes what is there: it claims nothing, and looks once at each job."""
    paused: bool = False
    """Whether somebody has said `pause`, when last looked."""
    only_jobs: frozenset[JobId] | None = None
    """The takes that a `retry` is for; others are only seen through."""
    stopped: StopReason | None = None
    stop_detail: str = ""
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when this process is asked to go: nothing in flight is waited for any more."""
    at_hand: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Jobs as this process has just read or written them; the next stage takes them from here."""
    mine: set[str] = field(default_factory=set)
    """Jobs that this process has submitted or settled, and therefore sees through."""
    doubted: set[str] = field(default_factory=set)
    """Jobs this process has seen in doubt and not gone on with since."""
    unsubmitted: set[JobId] = field(default_factory=set)
    """Jobs of the shards taken up that have not been submitted yet, and are about to be."""
    aside: set[JobId] = field(default_factory=set)
    """Those that have not been submitted yet, and wait for something of their own."""
    driving: set[str] = field(default_factory=set)
    """Jobs this process is at work on."""
    on_the_way: int = 0
    """Jobs between their claim and the answer to their POST, or in line for a claim."""
    waiting_for_archive: int = 0
    manifest_keys: list[str] = field(default_factory=list)
    webhook_waits: RunTimes = field(default_factory=RunTimes)
    """From a submission to its webhook."""
    archive_refusals: int = 0
    first_answers: list[str] = field(default_factory=list)
    image_urls: dict[str, asyncio.Task[str]] = field(default_factory=dict)
    uploading: asyncio.Semaphore = field(
        default_factory=partial(asyncio.Semaphore, UPLOADS_AT_ONCE)
    )
    """First come, first served; who waits for a place holds no image in memory."""
    bringing: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, VIDEOS_AT_ONCE))
    """Each video on its way from fal to the archive is in memory."""
    warnings: list[str] = field(default_factory=list)
    """What the report warns of."""

    def __post_init__(self) -> None:
        self.journal = Journal(self.batch.name)
        self._last_shard_begun = False
        self._heard_at = float("-inf")
        self._own_window = self.window
        self._ordered: int | None = None
        self.gone = asyncio.Event()
        """Set once nothing is waited for any more: everybody goes."""
        self.room = asyncio.Event()
        """Set whenever there may be room for another shard."""
        self.gate = Gate(self._while_parked, self._while_paused)
        self.elsewhere = Elsewhere(self._states)
        if self.sweeps:
            self.gate.close()

    async def book(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function of the ledger in a thread of its own."""
        return await self.bookkeeper.alone(partial(call, *args, **kwargs))

    async def move(self, move: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for a short step of one job: those that come at once are committed together."""
        return await self.bookkeeper.together(partial(move, *args, **kwargs))

    async def carry(self, move: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call something that moves bytes in a porter's thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.porters, partial(move, *args, **kwargs))

    async def job(self, job_id: str) -> Mapping[str, Any]:
        """The job as it is now: just read or written by this process, else from the ledger."""
        if known := self.at_hand.pop(job_id, None):
            return known
        found = await self.book(reading.job, self.ledger, job_id)
        return dict(found)

    def stop(self, reason: StopReason, detail: str = "") -> None:
        """Buy nothing more. What is in flight is still collected and archived."""
        if self.stopped is None:
            self.stopped, self.stop_detail = reason, detail
            why = f"{reason} ({detail.rstrip('.')})" if detail else reason
            self.journal.warn(f"stopped: {why}. {ADVICE[reason]}", reported=True)
        self.gate.close()
        self.room.set()

    def leave(self) -> None:
        """Go now: what is in flight stays in the ledger for the next run."""
        self.stop("interrupted")
        self.leaving.set()

    def take_window(self, ordered: int | None) -> None:
        """A person's word, from any terminal, wins over this run's own window."""
        self._ordered = ordered
        self.window = ordered or self._own_window
        self.room.set()

    def found_window(self, found: int) -> None:
        """What `auto` makes of the account by now; a person's word still wins."""
        if found > self._own_window:
            self.gate.place_freed()
        self._own_window = found
        self.take_window(self._ordered)

    @property
    def auto(self) -> bool:
        """Whether nobody has said how many may be at fal at once."""
        return self.settings.max_in_flight == "auto"

    def terms(self, endpoint_id: str) -> Terms:
        """What a claim for this endpoint must respect."""
        return Terms(
            window=None if self.auto else self.window,
            pace_per_second=self.settings.pace_per_second,
            price=self.prices.of(endpoint_id),
            budget=self.settings.budget,
            budget_per_day=self.settings.budget_per_day,
            start_timeout=timedelta(seconds=self.settings.start_timeout),
            grace=timedelta(seconds=self.settings.in_doubt_grace),
            fal_answers=self.fal_answers,
        )

    @property
    def listens(self) -> bool:
        """Whether results are expected by webhook, and polled only when none came."""
        return self.settings.collect == "webhook"

    def webhook_url(self, token: str) -> str | None:
        """Where fal tells that this request has ended, whoever is the first to hear of it.

        Its token settles a doubt, so it is sent when we poll, too; a rehearsal tells nobody.
        """
        if self.settings.webhook_url is None or self.settings.emulated:
            return None
        return f"{self.settings.webhook_url}/webhooks/fal/{token}"

    def submitted(self, job_id: JobId) -> None:
        """A job of a running shard needs no place any more."""
        self.unsubmitted.discard(job_id)
        self.room.set()
        self._hurry_at_the_end()

    @contextmanager
    def stepping_aside(self, job_id: JobId, *, after_seconds: float = 0.0) -> Iterator[None]:
        """Whoever waits for something of its own for so long lets others be taken up before it."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(after_seconds, self._step_aside, job_id)
        try:
            yield
        finally:
            timer.cancel()
            if job_id in self.aside:
                self.aside.discard(job_id)
                self.unsubmitted.add(job_id)

    def _step_aside(self, job_id: JobId) -> None:
        if job_id in self.unsubmitted:
            self.unsubmitted.discard(job_id)
            self.aside.add(job_id)
            self.room.set()

    def all_taken_up(self) -> None:
        """No shard is left to begin: once all are submitted, only the end counts."""
        self._last_shard_begun = True
        self._hurry_at_the_end()

    def _hurry_at_the_end(self) -> None:
        if self._last_shard_begun and not self.unsubmitted and not self.aside:
            self.poller.schedule.eager = True

    @property
    def busy_leaving(self) -> bool:
        """Whether something is on its way that is worth waiting for, even when leaving."""
        return self.on_the_way > 0 or self.waiting_for_archive > 0

    @property
    def patience_seconds(self) -> float:
        """How long another process may take with a job before it counts as overdue."""
        if self.sweeps:
            return 0.0
        return OVERDUE_SECONDS + 3 * (self.poller.schedule.run_times.median or 0.0)

    def heard(self, verdict: str) -> None:
        """Count the first answers: ten alike, all permanent failures, stop the batch."""
        if len(self.first_answers) >= FIRST_ANSWERS or self.request.keep_going:
            return
        self.first_answers.append(verdict)
        alike = set(self.first_answers) == {verdict} and verdict != "good"
        if alike and len(self.first_answers) == FIRST_ANSWERS:
            self.stop("failing", verdict)

    def archive_refused(self, reason: str) -> None:
        """Three refusals, not merely throttled: stop buying what cannot be kept."""
        self.archive_refusals += 1
        self.journal.warn(f"the archive refused a video: {reason}")
        if self.archive_refusals >= ARCHIVE_REFUSALS:
            self.stop("archive", reason)

    def warn(self, sentence: str) -> None:
        """To the log at once, and in the report at the end."""
        self.warnings.append(sentence)
        self.journal.warn(sentence, reported=True)

    async def doubt_the_late(self) -> None:
        """A POST whose process has died without a word is in doubt."""
        if n := await self.book(answers.doubt_the_late, self.ledger, self.settings.account_id):
            self.journal.say(f"{n} submissions of a process that ended are in doubt")

    @property
    def fal_answers(self) -> bool:
        """Whether fal has just answered a free question: a storm may be over."""
        return monotonic() - self._heard_at < HEARD_LATELY_SECONDS

    async def sit_out(self) -> None:
        """Wait until the account may be asked again, or this run gives up."""
        while not self.gate.closed.is_set():
            await self._while_parked()
            parked = await self.book(parking.parked, self.ledger, self.settings.account_id)
            if parked is None or parked.until <= datetime.now(UTC):
                return
            await self.gate.wait_until(parked.until)

    async def _while_parked(self) -> None:
        """Give up waiting where waiting does not help."""
        parked = await self.book(parking.parked, self.ledger, self.settings.account_id)
        if parked is None:
            return
        self.journal.parked(parked)
        waited = datetime.now(UTC) - max(parked.since, self.started_at)
        if parked.until <= datetime.now(UTC):
            # A probe is on its way, and its answer decides; or it waits for a sign of life.
            if parked.reason == "storm" and not self.fal_answers:
                await self._look_for_life(waited)
            return
        match parked.reason:
            case "locked" | "auth":
                if waited >= timedelta(seconds=self.settings.locked_wait):
                    self.stop(parked.reason, parked.detail)
            case "unreachable":
                if waited >= UNREACHABLE_FOR:
                    self.stop("unreachable", parked.detail)
            case "throttled" | "storm":
                return

    async def _while_paused(self) -> bool:
        """Wait for `resume` as long as there is something left to see through."""
        under_way = await self.book(orders.under_way, self.ledger, self.batch.id)
        return not under_way.isdisjoint(self.driving)

    async def _look_for_life(self, waited: timedelta) -> None:
        """After a storm: ask fal what costs nothing, before anything that may."""
        if await self.fal.check_key() not in (KeyCheck.UNKNOWN, KeyCheck.UNREACHABLE):
            self._heard_at = monotonic()
        elif waited >= UNREACHABLE_FOR:
            self.stop("unreachable", "fal answers nothing but errors")

    async def _states(self, job_ids: list[str]) -> dict[str, State]:
        return await self.book(reading.states_of, self.ledger, job_ids)
