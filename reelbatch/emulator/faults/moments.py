"""When a fault can strike, and what it gets into its hands then."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from reelbatch.emulator.submission import Submission

Moment = Literal[
    "submit",
    "enqueue",
    "run",
    "output",
    "status",
    "result",
    "cancel",
    "media",
    "token",
    "upload",
    "webhook",
    "history",
    "record",
    "pricing",
    "billing",
]


@dataclass(frozen=True, kw_only=True)
class Call:
    """An HTTP call; `proceed` is what would have happened."""

    request: Request
    proceed: Callable[[], Awaitable[Response]]
    submission: Submission | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    submission: Submission
    seconds: float


@dataclass(kw_only=True)
class Output:
    submission: Submission
    missing: bool = False
    silent: bool = False
    mute: bool = False
    size_error: int = 0


@dataclass(kw_only=True)
class Enqueued:
    submission: Submission
    luck: Random = field(default_factory=Random)
