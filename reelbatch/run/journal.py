"""What a run writes in its log: how its batch gets on, and of rows only what matters.

Prefect's pages show it too, at a millisecond or two a line. So a row that goes well is told at
debug level, and of each kind of trouble only the first hundred rows above it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reelbatch.ledger.parking import Parked
from reelbatch.logs import say

ROWS_OF_A_KIND = 100

log = logging.getLogger("reelbatch.run")


class Journal:
    """One batch's lines: each is a sentence that begins with its name."""

    def __init__(self, batch: str) -> None:
        self._batch = batch
        self._rows: Counter[str] = Counter()
        self._parked: tuple[str, datetime] | None = None

    def say(
        self, words: str, *, level: int = logging.INFO, reported: bool = False, **ids: object
    ) -> None:
        say(log, level, f"{self._batch}: {words}", reported=reported, batch=self._batch, **ids)

    def warn(self, words: str, *, reported: bool = False) -> None:
        self.say(words, level=logging.WARNING, reported=reported)

    @property
    def tells_all(self) -> bool:
        """Whether each move of each row is told."""
        return log.isEnabledFor(logging.DEBUG)

    def went_well(self, job: Mapping[str, Any], what: str) -> None:
        self._row(job, what, logging.DEBUG)

    def trouble(
        self, job: Mapping[str, Any], kind: str, why: str = "", *, error: str | None = None
    ) -> None:
        """Something a person may have to know of this row; `error` is the type of a failure."""
        self._rows[kind] += 1
        count = self._rows[kind]
        rest = "; more of them at debug level only" if count == ROWS_OF_A_KIND else ""
        level = logging.INFO if count <= ROWS_OF_A_KIND else logging.DEBUG
        self._row(job, f"{kind}: {why}{rest}" if why else f"{kind}{rest}", level, error=error)

    def parked(self, parked: Parked) -> None:
        """Said once for each time, not at each claim that waits. Throttling is nothing unusual."""
        if self._parked == (parked.reason, parked.since):
            return
        self._parked = (parked.reason, parked.since)
        self.say(
            f"parked ({parked.reason}): {parked.detail}; nothing is bought until "
            f"{parked.until.astimezone():%H:%M:%S}, then once for a try",
            level=logging.INFO if parked.reason == "throttled" else logging.WARNING,
        )

    def accepted(self, claimed_at: datetime) -> None:
        """fal took what was claimed then: what had parked the account before is over."""
        if self._parked is not None and claimed_at >= self._parked[1]:
            self._parked = None
            self.say("no longer parked: fal accepts again")

    def _row(
        self, job: Mapping[str, Any], words: str, level: int, *, error: str | None = None
    ) -> None:
        request_id = job.get("request_id")
        known_as = f" (request {request_id})" if request_id else ""
        self.say(
            f"row {job['row_id']} take {job['take']}: {words}{known_as}",
            level=level,
            row_id=job["row_id"],
            take=job["take"],
            job_id=job["id"],
            request_id=request_id,
            attempt=number_of(job.get("attempt_id")),
            error=error,
        )


def number_of(attempt_id: str | None) -> int | None:
    """An attempt's id ends in its number."""
    return int(attempt_id.rpartition("-")[2]) if attempt_id else None
