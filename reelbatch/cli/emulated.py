"""A local fal for one run: our emulator, started as a child that ends with us."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelbatch.cli.children import Child, start

START_SECONDS = 60.0

# Any key of fal's form is good enough for the emulator; the user's own must not be shown around.
KEY = "emulated:key"


@dataclass(frozen=True, kw_only=True)
class EmulatedFal:
    """A running emulator, and the settings with which a run uses it."""

    child: Child
    queue_url: str
    rest_url: str
    cdn_url: str
    api_url: str
    jwks_url: str

    @classmethod
    def start(
        cls,
        *,
        concurrency: int = 4,
        service_seconds: float = 2.0,
        faults: Path | None = None,
        options: Sequence[str] = (),
    ) -> EmulatedFal:
        """Start it on a free port and wait until it serves. Raises Refused where it cannot."""
        arguments = [f"--concurrency={concurrency}", f"--service-seconds={service_seconds}"]
        if faults:
            arguments.append(f"--faults={faults}")
        child = start(_command([*arguments, *options]), name="The fal emulator")
        ready = child.wait_ready(lambda: _announced(child), timeout_seconds=START_SECONDS)
        urls = {name: ready[name] for name in cls.__dataclass_fields__ if name.endswith("_url")}
        return cls(child=child, **urls)

    @property
    def settings(self) -> dict[str, Any]:
        """For `read_settings`: a run with these talks to this emulator and to nobody else."""
        return {
            "fal_key": KEY,
            "fal_queue_url": self.queue_url,
            "fal_rest_url": self.rest_url,
            "fal_cdn_url": self.cdn_url,
            "fal_api_url": self.api_url,
        }

    @property
    def environment(self) -> dict[str, str]:
        """The same for another process."""
        settings = dict(self.settings)
        key = {"FAL_KEY": settings.pop("fal_key")}
        return key | {f"REELBATCH_{name.upper()}": value for name, value in settings.items()}

    def stop(self) -> None:
        self.child.stop()


def _command(arguments: Sequence[str]) -> list[str]:
    """`-P`: a folder named like one of our packages where the user stands is not ours."""
    return [
        *(sys.executable, "-P", "-m", "reelbatch.emulator"),
        *("--port=0", "--watch-stdin", *arguments),
    ]


def _announced(child: Child) -> dict[str, Any] | None:
    """The one line it prints when it serves, once it is complete."""
    line, end, _ = child.said().partition("\n")
    return json.loads(line) if end else None
