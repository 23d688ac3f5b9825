"""How well the account's slots were used, second by second."""

import time
from datetime import datetime
from typing import Any

from reelbatch.emulator.clock import iso, now
from reelbatch.emulator.settings import Settings


class Slots:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.running = 0
        self.reset()

    def reset(self) -> None:
        self.max_running = self.running
        self.max_waiting = 0
        self._used = self._offered = 0.0
        self._used_by_last = self._offered_by_last = 0.0
        self._measured_at = time.monotonic()
        self._first_submitted_at: datetime | None = None
        self._last_completed_at: datetime | None = None

    def submitted(self) -> None:
        if self._first_submitted_at is None:
            self._measured_at = time.monotonic()
            self._first_submitted_at = now()

    def taken(self) -> None:
        self.measure()
        self.running += 1
        self.max_running = max(self.max_running, self.running)

    def waits(self, count: int) -> None:
        """So many are in line, now that one more has joined it."""
        self.max_waiting = max(self.max_waiting, count)

    def freed(self) -> None:
        self.measure()
        self.running -= 1

    def completed(self) -> None:
        self.measure()
        self._last_completed_at = now()
        self._used_by_last, self._offered_by_last = self._used, self._offered

    def measure(self) -> None:
        """Book the time since the last change; call before the limit itself changes, too."""
        at = time.monotonic()
        passed, self._measured_at = at - self._measured_at, at
        if self._first_submitted_at is not None:
            self._used += self.running * passed
            self._offered += self._settings.slots_left * passed

    def shown(self) -> dict[str, Any]:
        """Seconds between the first submission and the last completion."""
        share = self._used_by_last / self._offered_by_last if self._offered_by_last else 0.0
        return {
            "concurrency": self._settings.concurrency,
            "running": self.running,
            "max_running": self.max_running,
            "max_waiting": self.max_waiting,
            "slot_seconds_used": round(self._used_by_last, 3),
            "slot_seconds_offered": round(self._offered_by_last, 3),
            "busy_share": round(share, 4),
            "first_submitted_at": iso(self._first_submitted_at),
            "last_completed_at": iso(self._last_completed_at),
        }
