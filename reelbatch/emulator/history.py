"""The request list: started requests only, late, and in pages (fal.md, section 9).

Where the contract is silent we chose: `start` and `end` look at sent_at, and a cursor remembers
when the first page was read, so that later pages neither repeat nor skip.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request

from reelbatch.emulator.clock import iso, now
from reelbatch.emulator.faults.moments import Record
from reelbatch.emulator.faults.plan import Faults
from reelbatch.emulator.queue import Queue
from reelbatch.emulator.settings import Settings
from reelbatch.emulator.submission import Submission

OUTCOMES = {"success": (200, 299), "user_error": (400, 499), "error": (500, 599)}
DEFAULT_SPAN = timedelta(hours=24)
LONGEST_SPAN = timedelta(days=90)


@dataclass(frozen=True)
class Page:
    items: list[Any]
    next_cursor: str | None


@dataclass(frozen=True)
class Cursor:
    as_of: datetime
    start: int = 0

    @classmethod
    def of(cls, request: Request) -> "Cursor":
        given = request.query_params.get("cursor")
        if given is None:
            return cls(now())
        read = json.loads(base64.urlsafe_b64decode(given))
        return cls(datetime.fromisoformat(read["as_of"]), read["start"])

    def next(self, count: int) -> str:
        word = {"as_of": self.as_of.isoformat(), "start": self.start + count}
        return base64.urlsafe_b64encode(json.dumps(word).encode()).decode()


class History:
    def __init__(self, settings: Settings, queue: Queue, faults: Faults) -> None:
        self.settings = settings
        self.queue = queue
        self.faults = faults

    def page(self, request: Request, newest_first: bool = False) -> Page:
        cursor = Cursor.of(request)
        found = list(self._found(request, cursor, whole_past=newest_first))
        by_duration = request.query_params.get("sort_by") == "duration"
        if newest_first:
            found.sort(key=lambda each: each.submission.sent_at, reverse=True)
        elif by_duration:
            found.sort(key=lambda each: each.submission.seconds or 0.0, reverse=True)
        else:
            found.sort(key=lambda each: self._end(each.submission, cursor), reverse=True)
        return cut([each.item for each in found], request, cursor, most=100, usual=50)

    def billed(self, request: Request) -> Page:
        """Good results, as submissions, oldest first."""
        cursor = Cursor.of(request)
        done = (each for each in self._between(request, cursor) if each.answer and each.answer.good)
        tagged = request.query_params.get("source") == "tagged-billed"
        if tagged:
            done = (each for each in done if self._has_tags(each, request))
        return cut(list(done), request, cursor, most=10_000, usual=1_000)

    def _has_tags(self, submission: Submission, request: Request) -> bool:
        """Only where fal has enabled tag reporting for the account."""
        wanted = (tag.partition("=") for tag in request.query_params.getlist("tag"))
        held = submission.tags
        return self.settings.report_tags and all(held.get(key) == value for key, _, value in wanted)

    def _found(self, request: Request, cursor: Cursor, whole_past: bool) -> Iterable[Record]:
        payloads = "payloads" in request.query_params.getlist("expand")
        for submission in self._between(request, cursor, whole_past):
            if self._listed(submission, cursor) and has_outcome(submission, request):
                record = Record(submission=submission, item=item(submission, payloads))
                self.faults.touch("record", record)
                if not record.hidden:
                    yield record

    def _listed(self, submission: Submission, cursor: Cursor) -> bool:
        lag = timedelta(seconds=self.settings.history_lag_seconds)
        return submission.started_at is not None and submission.started_at + lag <= cursor.as_of

    def _between(
        self, request: Request, cursor: Cursor, whole_past: bool = False
    ) -> Iterable[Submission]:
        ids = listed(request, "request_id")
        span = LONGEST_SPAN if ids or whole_past else DEFAULT_SPAN
        start = time_of(request, "start") or cursor.as_of - span
        end = time_of(request, "end") or cursor.as_of
        endpoints = chosen_endpoints(request)
        for submission in list(self.queue.submissions.values()):
            if (
                start <= submission.sent_at < end
                and (not endpoints or submission.endpoint in endpoints)
                and (not ids or submission.request_id in ids)
            ):
                yield submission

    def _end(self, submission: Submission, cursor: Cursor) -> datetime:
        """What has not ended by the first page comes first."""
        return min(submission.ended_at or cursor.as_of, cursor.as_of)


def cut(found: list[Any], request: Request, cursor: Cursor, most: int, usual: int) -> Page:
    count = min(most, max(1, int(request.query_params.get("limit", usual))))
    items = found[cursor.start : cursor.start + count]
    more = len(found) > cursor.start + count
    return Page(items, cursor.next(count) if more else None)


def item(submission: Submission, payloads: bool) -> dict[str, Any]:
    answer = submission.answer
    shown: dict[str, Any] = {
        "request_id": submission.request_id,
        "endpoint_id": submission.endpoint,
        "sent_at": iso(submission.sent_at),
        "started_at": iso(submission.started_at),
        "ended_at": iso(submission.ended_at),
        "status_code": answer.status if answer else None,
        "duration": submission.seconds,
    }
    if payloads and submission.store_io:
        shown["json_input"] = submission.body
        shown["json_output"] = answer.body if answer else None
    return shown


def has_outcome(submission: Submission, request: Request) -> bool:
    wanted = request.query_params.get("status")
    if wanted is None:
        return True
    lowest, highest = OUTCOMES[wanted]
    return submission.answer is not None and lowest <= submission.answer.status <= highest


def listed(request: Request, name: str) -> list[str]:
    """Repeated, or with commas: fal takes both."""
    given = request.query_params.getlist(name)
    return [each for value in given for each in value.split(",") if each]


def chosen_endpoints(request: Request) -> list[str]:
    return listed(request, "endpoint_id")


def time_of(request: Request, name: str) -> datetime | None:
    given = request.query_params.get(name)
    if given is None:
        return None
    read = datetime.fromisoformat(given.replace(" ", "+"))
    return read if read.tzinfo else read.replace(tzinfo=now().tzinfo)
