"""The real emulator program, as fal for a test: each test has one of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from reelbatch.cli.emulated import EmulatedFal


class Emulator:
    """A running emulator, and its own door for tests."""

    def __init__(self, running: EmulatedFal) -> None:
        self.running = running
        self.queue_url = running.queue_url
        self.rest_url = running.rest_url
        self.cdn_url = running.cdn_url
        self.api_url = running.api_url
        self.jwks_url = running.jwks_url
        self.settings = running.settings
        """For `read_settings`."""
        self.environment = running.environment
        """For another process."""
        self.process = running.child.process
        self._door = httpx.Client(base_url=f"{running.queue_url}/_emulator", timeout=20)

    def state(self) -> dict[str, Any]:
        """What it has accepted, is running, has been asked, and has charged."""
        return dict(self._ask("GET", "/state"))

    def submissions(self) -> list[dict[str, Any]]:
        """Every request it has accepted, oldest first."""
        return list(self._ask("GET", "/submissions")["submissions"])

    def set(self, **settings: Any) -> None:
        """Change concurrency, service_seconds and the like while it runs."""
        self._ask("POST", "/settings", settings)

    def break_(self, fault: str, **rule: Any) -> None:
        """Switch on one fault; the rule in the words of a fault plan, `with_` for `with`."""
        wish = {"fault": fault, **{word.rstrip("_"): value for word, value in rule.items()}}
        self._ask("POST", "/faults", wish)

    def mend(self) -> None:
        """Switch off every fault."""
        self._ask("DELETE", "/faults")

    def forget(self) -> None:
        """Drop every submission, the running ones too; counters start at zero."""
        self._ask("POST", "/forget")

    def count_anew(self) -> None:
        """Counters start at zero, while everything goes on."""
        self._ask("POST", "/reset")

    def lock(self, **reason: Any) -> None:
        """Lock the account, as fal does when the balance is used up."""
        self._ask("POST", "/lock", reason)

    def unlock(self) -> None:
        self._ask("POST", "/unlock")

    def kill(self) -> None:
        """As if fal had gone away."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self._door.close()
        self.running.stop()

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._door.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else {}


StartEmulator = Callable[..., Emulator]


@pytest.fixture
def start_emulator() -> Iterator[StartEmulator]:
    """`start_emulator(concurrency=8, service_seconds=0.2, faults=Path, options=[...])`"""
    started: list[Emulator] = []

    def start(**options: Any) -> Emulator:
        running = EmulatedFal.start(**{"concurrency": 8, "service_seconds": 0.2, **options})
        started.append(Emulator(running))
        return started[-1]

    yield start
    for emulator in started:
        emulator.stop()


@pytest.fixture
def emulator(start_emulator: StartEmulator) -> Emulator:
    """One with 8 slots, where a video takes 0.2 seconds."""
    return start_emulator()
