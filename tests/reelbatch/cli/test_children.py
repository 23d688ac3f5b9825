"""Programs we start end when we do, and say why they did not start."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from reelbatch.cli.children import Child, start_watched, wait_until
from reelbatch.cli.ports import free_port
from reelbatch.errors import Refused

LISTENING = """
import signal, socket, sys
if "--stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    while True:
        server.accept()[0].close()
"""

STARTING_ONE = """
import sys, time
from reelbatch.cli.children import start_watched
child = start_watched([sys.executable, "-c", sys.argv[1], sys.argv[2]], name="A listener")
time.sleep(600)
"""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def started(port: int) -> Iterator[list[Child]]:
    children: list[Child] = []
    yield children
    for child in children:
        child.stop(patience_seconds=0)


def listener(started: list[Child], port: int, *options: str) -> Child:
    command = [sys.executable, "-c", LISTENING, str(port), *options]
    child = start_watched(command, name="A listener")
    started.append(child)
    child.wait_ready(lambda: listens(port), timeout_seconds=20)
    return child


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def wait_until_silent(port: int) -> None:
    wait_until(lambda: not listens(port), description="nobody listens any more")


def test_a_child_ends_when_its_parent_is_killed(port: int) -> None:
    """The system closes our end of the pipe, whatever became of us."""
    parent = subprocess.Popen([sys.executable, "-c", STARTING_ONE, LISTENING, str(port)])
    wait_until(lambda: listens(port), description="the grandchild listens")
    parent.kill()
    parent.wait()
    wait_until_silent(port)


def test_a_child_is_asked_to_end(started: list[Child], port: int) -> None:
    child = listener(started, port)
    child.stop()
    assert not listens(port)


def test_a_stubborn_child_is_made_to_end(started: list[Child], port: int) -> None:
    child = listener(started, port, "--stubborn")
    child.stop(patience_seconds=0.3)
    wait_until_silent(port)


def test_a_killed_watcher_leaves_no_orphan(started: list[Child], port: int) -> None:
    child = listener(started, port)
    child.process.kill()
    child.stop()
    wait_until_silent(port)


def test_stopping_twice_is_fine(started: list[Child], port: int) -> None:
    child = listener(started, port)
    child.stop()
    child.stop()


def test_a_child_that_cannot_start_says_why(started: list[Child]) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('the disk is full')"]
    child = start_watched(command, name="The server")
    started.append(child)
    with pytest.raises(Refused, match=r"The server ended with code 1 .* the disk is full"):
        child.wait_ready(lambda: False, timeout_seconds=20)


def test_a_child_that_is_never_ready_is_given_up(started: list[Child], port: int) -> None:
    child = listener(started, port)
    with pytest.raises(Refused, match=r"A listener does not answer: waited 0\.2 s"):
        child.wait_ready(lambda: False, timeout_seconds=0.2)


def test_what_a_child_says_is_kept(started: list[Child]) -> None:
    child = start_watched([sys.executable, "-c", "print('at your service')"], name="A speaker")
    started.append(child)
    child.process.wait()
    assert child.said() == "at your service\n"


def test_waiting_in_vain_ends_with_words() -> None:
    with pytest.raises(TimeoutError, match="until pigs fly"):
        wait_until(lambda: False, description="pigs fly", timeout_seconds=0.1)
