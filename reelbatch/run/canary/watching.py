"""Follow one request in every way fal offers: status, stream, request list, bill."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from reelbatch.errors import Permanent, Transient
from reelbatch.fal.answers import (
    BillingEvent,
    Completed,
    Gone,
    ListedRequest,
    Status,
    Submission,
)
from reelbatch.fal.client import Fal
from reelbatch.fal.endpoints import OVI_TEXT
from reelbatch.run.canary.overheard import Overheard
from reelbatch.run.canary.record import Record

MARGIN = timedelta(minutes=10)


@dataclass(kw_only=True)
class Watcher:
    """One submission, and what is noted of it."""

    fal: Fal
    heard: Overheard
    record: Record
    submission: Submission
    pause_seconds: float
    ended_at: float | None = None
    """Seconds since the beginning, as its status showed it."""

    async def status(self) -> Status:
        """Polled to its end; a line for every change. Trouble is waited out."""
        seen: list[dict[str, Any]] = []
        while True:
            try:
                status = await self.fal.status(self.submission)
            except Transient:
                await asyncio.sleep(self.pause_seconds)
                continue
            self._follow(status, seen)
            if isinstance(status, Completed | Gone):
                self.ended_at = self.record.seconds()
                return status
            await asyncio.sleep(self.pause_seconds)

    def _follow(self, status: Status, seen: list[dict[str, Any]]) -> None:
        name = type(status).__name__.lower()
        if seen and seen[-1]["status"] == name:
            return
        answer = self.heard.last("status")
        at = self.record.seconds()
        seen.append({"status": name, "http_status": answer.http_status, "at_seconds": at})
        self.record.note(statuses=seen)

    async def stream(self) -> None:
        """fal's own stream of the same; its end or its trouble is a fact, too."""
        events: list[dict[str, Any]] = []
        end = "it told of the end"
        try:
            async for status in self.fal.stream(self.submission):
                name = type(status).__name__.lower()
                events.append({"status": name, "at_seconds": self.record.seconds()})
        except Transient as error:
            end = error.message
        answer = self.heard.last("stream")
        kind = answer.headers.get("content-type")
        self.record.note(
            stream={
                "http_status": answer.http_status,
                "content_type": kind,
                "events": events,
                "end": end,
            }
        )

    async def listed(self) -> ListedRequest | None:
        """Until fal's list shows it. Raises Permanent where this key may not read the list."""
        while True:
            try:
                found = await self._in_list()
            except Transient:
                found = None
            if found is not None:
                self.record.note(list=self._listing(found))
                return found
            await asyncio.sleep(self.pause_seconds)

    async def _in_list(self) -> ListedRequest | None:
        start, end = self._span()
        async for one in self.fal.requests(OVI_TEXT.id, start=start, end=end):
            if one.request_id == self.submission.request_id:
                return one
        return None

    def _listing(self, found: ListedRequest) -> dict[str, Any]:
        sent: Mapping[str, Any] = self.record.content["arguments"]
        shown = found.json_input
        return {
            "while_queued": found.started_at is None,
            "seconds_after_start": self._since(found.started_at),
            "sent_at": found.sent_at,
            "input_shown": shown is not None,
            "input_as_sent": shown is not None and all(shown.get(k) == v for k, v in sent.items()),
            "defaults_shown": sorted(set(shown or {}) - set(sent)),
        }

    def _since(self, moment: datetime | None) -> float | None:
        """Seconds since a time by fal's clock."""
        if moment is None:
            return None
        at_fal = datetime.now(UTC) + timedelta(seconds=self.fal.clock_offset_seconds)
        return round((at_fal - moment).total_seconds(), 2)

    async def billed(self) -> BillingEvent | None:
        """Until fal's bill has its line. Raises Permanent where this key may not read it."""
        while True:
            start, end = self._span()
            try:
                async for line in self.fal.billing_events(
                    start=start, end=end, endpoint_id=OVI_TEXT.id
                ):
                    if line.request_id == self.submission.request_id:
                        self.record.note(bill=self._billing(line))
                        return line
            except Transient:
                pass  # It is asked again, until whoever waits has waited long enough.
            await asyncio.sleep(self.pause_seconds)

    def _billing(self, line: BillingEvent) -> dict[str, Any]:
        events = self.heard.last("bill").body.get("billing_events") or []
        ours = [e for e in events if e.get("request_id") == self.submission.request_id]
        return {
            "seconds_after_end": round(self.record.seconds() - (self.ended_at or 0.0), 2),
            "usd": str(line.usd),
            "output_units": line.output_units,
            "tags_reported": any(one.get("tags") for one in ours),
        }

    def _span(self) -> tuple[datetime, datetime]:
        offset = timedelta(seconds=self.fal.clock_offset_seconds)
        return self.record.began_at + offset - MARGIN, datetime.now(UTC) + offset + MARGIN


async def for_a_while(topic: str, watched: Awaitable[Any], record: Record, seconds: float) -> None:
    """Wait for it so long; what cannot be seen is noted with the reason."""
    try:
        async with asyncio.timeout(seconds):
            await watched
    except TimeoutError:
        record.note(**{topic: {"reason": f"not within {seconds:.0f} s"}})
    except Permanent as error:
        record.note(**{topic: {"reason": error.message}})
