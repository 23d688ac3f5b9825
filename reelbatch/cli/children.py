"""Programs we start that end when we do, also after kill -9.

Each holds one end of a pipe whose other end is ours alone: when that closes, it ends. They
have sessions of their own, so that Ctrl-C reaches us first and they serve us until we are done.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from reelbatch.errors import Refused

T = TypeVar("T")

WATCHED = (sys.executable, "-I", "-S", str(Path(__file__).with_name("watched.py")))
TAIL_BYTES = 2000


@dataclass(frozen=True, kw_only=True)
class Child:
    """A running program: what it says goes to files that vanish with us."""

    name: str
    process: subprocess.Popen[bytes]
    out: IO[bytes]
    err: IO[bytes]

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def said(self) -> str:
        """Its standard output so far."""
        return _content(self.out)

    def last_words(self) -> str:
        """The end of what it wrote, to explain why it is gone."""
        return (_content(self.err) or _content(self.out))[-TAIL_BYTES:].strip()

    def wait_ready(self, ready: Callable[[], T | None], *, timeout_seconds: float) -> T:
        """What `ready` returned, once it is true. Raises Refused where that does not come."""
        try:
            return wait_until(
                lambda: ready() if self.alive else _gone(self),
                description=f"{self.name} is ready",
                timeout_seconds=timeout_seconds,
            )
        except TimeoutError as error:
            raise Refused(
                f"{self.name} does not answer: {error}.", advice=self.last_words()
            ) from None

    def stop(self, *, patience_seconds: float = 12.0) -> None:
        """Ask it to end, wait, and insist. Ending it twice is fine."""
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self._kill_all()
            self.process.wait()
        if self.process.returncode < 0:
            self._kill_all()
        self.out.close()
        self.err.close()

    def _kill_all(self) -> None:
        """The whole session: a watcher that was killed leaves its program behind."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def start(
    command: Sequence[str],
    *,
    name: str,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    keep_open: Sequence[int] = (),
) -> Child:
    """Start a program that ends by itself when its stdin does.

    `keep_open` are file descriptors it inherits, for instance a lock it holds as long as it lives.
    """
    out = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child; `stop` closes it
    err = tempfile.TemporaryFile()  # noqa: SIM115
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=out,
        stderr=err,
        env=environment,
        cwd=folder,
        pass_fds=keep_open,
        start_new_session=True,
    )
    return Child(name=name, process=process, out=out, err=err)


def start_watched(
    command: Sequence[str],
    *,
    name: str,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    keep_open: Sequence[int] = (),
) -> Child:
    """Start any other program; a small one of ours watches the pipe for it."""
    return start(
        [*WATCHED, *command],
        name=name,
        environment=environment,
        folder=folder,
        keep_open=keep_open,
    )


def wait_until(
    predicate: Callable[[], T | None],
    *,
    description: str,
    timeout_seconds: float = 30.0,
    interval_seconds: float = 0.05,
) -> T:
    """The first true answer of `predicate`. Raises TimeoutError with the description."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        if answer := predicate():
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_seconds:g} s until {description}")
        time.sleep(interval_seconds)


def _gone(child: Child) -> None:
    raise Refused(
        f"{child.name} ended with code {child.process.returncode} while starting.",
        advice=child.last_words(),
    )


def _content(file: IO[bytes]) -> str:
    """Read without moving the position at which the child writes."""
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, 0).decode(errors="replace")
