"""A world for whole commands: one emulated fal for the session, empty for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from reelbatch.cli.emulated import EmulatedFal
from tests.parts.book import Book
from tests.parts.command import Command, Finished, Running
from tests.parts.emulator import Emulator

IMPATIENT = {"REELBATCH_IN_DOUBT_GRACE": "2"}
"""How long a run waits, at its end, for what is in doubt: the default is 15 minutes."""
SOON = {"REELBATCH_START_TIMEOUT": "20"}
"""When fal gives up what it has not started, and a doubt can end: the default is two hours."""


def cats(count: int) -> str:
    """A manifest of so many rows, each another request."""
    return "id,prompt,seed\n" + "".join(f"cat-{n},A cat {n},{n}\n" for n in range(1, count + 1))


@pytest.fixture(scope="session")
def one_emulator() -> Iterator[Emulator]:
    options = ["--media=tiny"]
    emulator = Emulator(EmulatedFal.start(concurrency=8, service_seconds=0.2, options=options))
    yield emulator
    emulator.stop()


@pytest.fixture
def fal(one_emulator: Emulator) -> Emulator:
    """Sound, unlocked and with no submissions; 8 slots, where a video takes 0.2 seconds."""
    return emptied(one_emulator)


def emptied(emulator: Emulator) -> Emulator:
    emulator.forget()
    emulator.mend()
    emulator.unlock()
    emulator.set(concurrency=8, others=0, service_seconds=0.2)
    return emulator


@dataclass(frozen=True, kw_only=True)
class World:
    """The command, the fal it talks to, and the folder where it stands."""

    command: Command
    fal: Emulator

    @property
    def folder(self) -> Path:
        return self.command.folder

    @property
    def ledger(self) -> Path:
        return Path(self.command.ledger.removeprefix("sqlite:///"))

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    def write(self, name: str, content: str | bytes) -> Path:
        """A file in the working folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def run(self, *arguments: str | Path, **how: Any) -> Finished:
        """`reelbatch run --yes --json` to its end."""
        return self.command("run", *arguments, "--yes", "--json", **how)

    def start(self, *arguments: str | Path, **how: Any) -> Running:
        return self.command.start("run", *arguments, "--yes", "--json", **how)

    @property
    def ledger_url(self) -> str:
        return self.command.environment["REELBATCH_LEDGER"]

    def a_minute_passes(self) -> None:
        """For the ledger: what has no answer is in doubt, and such doubts can end."""
        with closing(Book(self.ledger_url)) as book:
            book.a_minute_passes()

    @property
    def accepted(self) -> int:
        """How many submissions fal has accepted; each one may be billed."""
        return int(self.fal.state()["accepted"]["total"])

    @property
    def paid_twice(self) -> int:
        """How many of them asked for the very same thing as an earlier one."""
        return int(self.fal.state()["accepted"]["duplicates"])

    def newest_flow_run(self) -> dict[str, Any]:
        """As Prefect shows it."""
        api = self.command.environment["PREFECT_API_URL"]
        wanted = {"sort": "START_TIME_DESC", "limit": 1}
        (found,) = httpx.post(f"{api}/flow_runs/filter", json=wanted, trust_env=False).json()
        return dict(found)

    def videos(self, batch: str = "cats") -> list[str]:
        """Every archived video, below the batch's folder."""
        folder = self.archive / batch
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.mp4"))


@pytest.fixture
def world(run_cli: Command, fal: Emulator) -> World:
    run_cli.environment |= fal.environment | IMPATIENT
    return World(command=run_cli, fal=fal)


@pytest.fixture
def shared(world: World, new_ledger_url: str) -> World:
    """A world whose ledger nobody has made yet, in a file or in Postgres."""
    world.command.environment["REELBATCH_LEDGER"] = new_ledger_url
    return world
