"""Waiting for the end of a request at fal: who waits, and how it may end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from reelbatch.fal.answers import Completed, Gone, Status, Submission


@dataclass(eq=False)
class Watch:
    """One request that is waited for."""

    submission: Submission
    done: asyncio.Future[Ending]
    runs_since: float | None = None
    """When it was first seen running."""
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    patient: bool = False
    """Whether it may run for as long as it likes: it was cancelled, or we were told to wait."""
    told: Status | None = None
    """What its stream said last, while it is listened to."""
    deadline: asyncio.TimerHandle | None = None
    """When it will have run for too long, while it is listened to."""

    def starts_anew(self) -> None:
        """It does not run, or not any more: a runner has failed, and fal will make it again."""
        self.runs_since = None
        if self.deadline:
            self.deadline.cancel()


@dataclass(frozen=True)
class Overdue:
    """The request has been running for longer than the run timeout."""


@dataclass(frozen=True)
class Unfinished:
    """One look was asked for, and the request is still on its way, or fal did not answer."""


@dataclass(frozen=True)
class Settled:
    """Somebody else has booked how it ended."""


Ending = Completed | Gone | Overdue | Settled
Seen = Ending | Unfinished
