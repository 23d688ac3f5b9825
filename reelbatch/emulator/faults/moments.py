"""When a fault can strike, and what it gets into its hands then."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from reelbatch.emulator.submission import Submission

Moment = Literal[
    "submit",
    "enqueue",
    "run",
    "output",
    "status",
    "unknown",
    "stream",
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


Proceed = Callable[[], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Call:
    """An HTTP call; `proceed` is what would have happened."""

    request: Request
    proceed: Proceed
    submission: Submission | None = None


@dataclass(frozen=True, kw_only=True)
class Enqueued:
    submission: Submission


@dataclass(frozen=True, kw_only=True)
class Run:
    submission: Submission
    seconds: float


@dataclass(kw_only=True)
class Output:
    """What becomes of the video once it is made."""

    submission: Submission
    missing: bool = False
    silent: bool = False
    mute: bool = False
    size_error: int = 0
    url: str | None = None
    """Said in place of the video's own."""


@dataclass(kw_only=True)
class Delivery:
    """One attempt to deliver a webhook."""

    submission: Submission
    body: dict[str, Any]
    copies: int = 1
    delay_seconds: float = 0.0
    age_seconds: float = 0.0
    lost: bool = False
    forged: bool = False
    tampered: bool = False


@dataclass(kw_only=True)
class Record:
    """One line of the request list, as it is about to be shown."""

    submission: Submission
    item: dict[str, Any]
    hidden: bool = False
