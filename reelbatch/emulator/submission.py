"""One accepted request, from the queue to its kept result."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from reelbatch.emulator.clock import iso, now, uuid7
from reelbatch.emulator.wire import Answer, Hosts


class State(StrEnum):
    """fal has three; failure and cancellation are COMPLETED (fal.md, section 3.3)."""

    IN_QUEUE = "IN_QUEUE"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"


@dataclass(kw_only=True, eq=False)
class Submission:
    endpoint: str
    app: str
    body: Any
    hosts: Hosts
    webhook: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    start_timeout: float | None = None
    low_priority: bool = False
    no_retry: bool = False
    store_io: bool = True

    request_id: str = field(default_factory=uuid7)
    gateway_request_id: str = ""
    body_sha256: str = ""
    sent_at: datetime = field(default_factory=now)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    state: State = State.IN_QUEUE
    attempts: int = 0
    answer: Answer | None = None
    logs: list[dict[str, str]] = field(default_factory=list)

    slowness: float = 1.0
    stuck: bool = False
    ahead: int = 0
    """Other people's requests in front of ours, leaving at `ahead_per_second`."""
    ahead_per_second: float = 1.0
    missed_start: bool = False
    cancel_requested: bool = False
    gone: bool = False
    ticket: int = 0
    webhook_tried: asyncio.Event = field(default_factory=asyncio.Event)
    _watchers: list[asyncio.Future[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gateway_request_id = self.request_id
        canonical = json.dumps(self.body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        self.body_sha256 = hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def prompt(self) -> str:
        return str(self.body.get("prompt", "")) if isinstance(self.body, dict) else ""

    @property
    def url(self) -> str:
        return f"{self.hosts.queue}/{self.app}/requests/{self.request_id}"

    @property
    def urls(self) -> dict[str, str]:
        """Only owner and app, never the subpath (fal.md, section 3.1)."""
        return {
            "response_url": self.url,
            "status_url": f"{self.url}/status",
            "cancel_url": f"{self.url}/cancel",
        }

    def log(self, message: str, level: str = "INFO") -> None:
        stamp = iso(now()) or ""
        self.logs.append({"message": message, "timestamp": stamp, "level": level, "source": "USER"})

    def move(self, state: State) -> None:
        self.state = state
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)

    async def change(self, within_seconds: float) -> None:
        """Returns at the next change of state, or when the time is over."""
        watcher = asyncio.get_running_loop().create_future()
        self._watchers.append(watcher)
        await asyncio.wait([watcher], timeout=within_seconds)
        if watcher in self._watchers:
            self._watchers.remove(watcher)

    @property
    def seconds(self) -> float | None:
        if self.started_at is None or self.ended_at is None:
            return None
        return round((self.ended_at - self.started_at).total_seconds(), 3)
