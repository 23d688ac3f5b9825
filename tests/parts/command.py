"""The real `reelbatch` command as a process, in a world of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reelbatch.cli.prefect_server import OwnServer

BIN = Path(sys.executable).parent
FROM_OUTSIDE = ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE")


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The one document `--json` puts on stdout."""
        return json.loads(self.stdout)

    @property
    def text(self) -> str:
        """Everything it said, for the message of an assertion."""
        return f"exit {self.code}\n{self.stdout}\n{self.stderr}"


@dataclass(frozen=True, kw_only=True)
class Running:
    """A command on its way, in a session of its own."""

    process: subprocess.Popen[str]

    def interrupt(self) -> None:
        """Ctrl-C, as the terminal sends it: to the command, not to its own children."""
        self.process.send_signal(signal.SIGINT)

    def until_said(self, words: str) -> None:
        """Read what it says on stderr until these words come."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if words in line:
                return
        raise AssertionError(f"it ended before it said {words!r}")

    def kill(self) -> None:
        """kill -9: nothing in it can say goodbye."""
        self.process.kill()
        self.process.communicate()

    def finish(self, *, timeout_seconds: float = 120.0) -> Finished:
        try:
            out, err = self.process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            pytest.fail(f"it did not end in {timeout_seconds:g} s:\n{out}\n{err}")
        return Finished(code=self.process.returncode, stdout=out, stderr=err)


class Command:
    """`run_cli("plan", "cats.csv")` runs to the end; `run_cli.start(...)` returns at once.

    Home, ledger and working folder are its own and last as long as the test.
    """

    def __init__(self, folder: Path, prefect: OwnServer) -> None:
        self.home = folder / "home"
        self.folder = folder / "work"
        self.home.mkdir()
        self.folder.mkdir()
        self.ledger = f"sqlite:///{folder / 'ledger.db'}"
        self._prefect = prefect
        self.environment = {
            **{name: os.environ[name] for name in FROM_OUTSIDE if name in os.environ},
            "HOME": str(self.home),
            "NO_COLOR": "1",
            "TERM": "dumb",
            "COLUMNS": "100",
            "PYTHONIOENCODING": "utf-8",
            "REELBATCH_LEDGER": self.ledger,
            # In a container without a terminal the default archive is refused.
            "REELBATCH_ARCHIVE": str(self.folder / "archive"),
            "PREFECT_API_URL": prefect.api_url,
        }
        """Of every command it runs. Add to it: `run_cli.environment |= emulator.environment`."""
        self._started: list[Running] = []

    def __call__(
        self,
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        timeout_seconds: float = 120.0,
    ) -> Finished:
        running = self.start(*arguments, environment=environment, folder=folder)
        return running.finish(timeout_seconds=timeout_seconds)

    def start(
        self,
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Running:
        process = subprocess.Popen(
            [BIN / "reelbatch", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**self.environment, **(environment or {})},
            cwd=folder or self.folder,
            start_new_session=True,
        )
        self._started.append(Running(process=process))
        return self._started[-1]

    def use_own_prefect(self) -> None:
        """From now on each run starts a server itself, on a home that is prepared already."""
        home = self.home / "prefect"
        home.mkdir()
        for name in ("prefect.db", self._prefect.home.prepared.name):
            shutil.copy(self._prefect.home.prepared, home / name)
        del self.environment["PREFECT_API_URL"]
        self.environment["PREFECT_HOME"] = str(home)

    def end(self) -> None:
        for running in self._started:
            if running.process.poll() is None:
                running.kill()


@pytest.fixture
def run_cli(tmp_path: Path, prefect_server: OwnServer) -> Iterator[Command]:
    folder = tmp_path / "reelbatch"
    folder.mkdir()
    command = Command(folder, prefect_server)
    yield command
    command.end()
