"""Orders from another terminal: pause, resume, another window, cancel; and a live look."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal

import pytest

from tests.acceptance.conftest import World, cats
from tests.parts.book import Book
from tests.parts.command import BIN, Finished
from tests.parts.waiting import wait_until

ROWS = 6


@pytest.fixture
def book(world: World) -> Iterator[Book]:
    """Six rows, and a fal that starts none of them yet."""
    world.write("cats.csv", cats(ROWS))
    world.fal.set(concurrency=0)
    with closing(Book(world.ledger_url)) as book:
        yield book


def until(book: Book, **states: int) -> None:
    wait_until(
        lambda: book.states() == Counter(states),
        description=f"the jobs stand at {states}",
        timeout_seconds=60,
    )


def said(done: Finished) -> tuple[int, str | None, int, int, int]:
    """(exit status, stopped, archived, cancelled, remaining)"""
    told = done.json
    return done.code, told["stopped"], told["archived"], told["cancelled"], told["remaining"]


def test_a_live_run_waits_out_a_pause(world: World, book: Book) -> None:
    running = world.start("cats.csv", "--max-in-flight=2")
    until(book, submitted=2, pending=4)
    paused = world.command("pause", "cats")
    assert (paused.code, "2 in flight" in paused.stdout) == (0, True), paused.text
    running.until_said("0 of 6 archived, paused; 2 in flight")
    resumed = world.command("resume", "cats", "--max-in-flight=5")
    assert resumed.code == 0, resumed.text
    until(book, submitted=5, pending=1)
    world.fal.set(concurrency=8)
    assert said(running.finish()) == (0, None, ROWS, 0, 0)
    assert (world.accepted, world.paid_twice) == (ROWS, 0)


def test_a_pause_that_stays_ends_the_run_and_a_new_run_goes_on(world: World, book: Book) -> None:
    running = world.start("cats.csv", "--max-in-flight=2")
    until(book, submitted=2, pending=4)
    world.command("pause", "cats")
    world.fal.set(concurrency=8)
    stopped = running.finish()
    assert said(stopped) == (4, "paused", 2, 0, 4), stopped.text
    assert "reelbatch resume" in stopped.stderr
    looked = world.command("status", "cats", "--json")
    assert said(looked) == (4, "paused", 2, 0, 4), looked.text
    assert "Say `reelbatch resume`" in looked.stderr
    assert "cats: paused, 2 of 6 archived" in world.command("status").stdout
    assert said(world.run("cats.csv")) == (0, None, ROWS, 0, 0)
    assert (world.accepted, world.paid_twice) == (ROWS, 0)


def test_cancel_takes_what_is_queued_and_leaves_what_runs(world: World, book: Book) -> None:
    """The live run ends as cancelled, in Prefect too; the next run makes the rest."""
    world.fal.set(concurrency=1, service_seconds=6.0)
    before = spent(world)
    running = world.start("cats.csv", "--max-in-flight=4")
    until(book, submitted=4, pending=2)
    cancelled = world.command("cancel", "cats", "--json")
    assert said(cancelled) == (4, "cancelled", 0, 3, 3), cancelled.text
    stopped = running.finish()
    assert said(stopped) == (4, "cancelled", 1, 3, 2), stopped.text
    assert said(world.command("status", "cats", "--json")) == (4, "cancelled", 1, 3, 2)
    assert world.newest_flow_run()["state_type"] == "CANCELLED"
    world.fal.set(concurrency=8, service_seconds=0.2)
    assert said(world.run("cats.csv")) == (0, None, ROWS, 0, 0)
    assert spent(world) - before == Decimal("1.20")
    assert len(world.videos()) == ROWS


def spent(world: World) -> Decimal:
    """On the emulator's books, for all tests so far."""
    return Decimal(world.fal.state()["account"]["spent_usd"])


def test_a_second_run_joins_and_reports_the_same_totals(world: World, book: Book) -> None:
    first = world.start("cats.csv", "--max-in-flight=2")
    until(book, submitted=2, pending=4)
    second = world.start("cats.csv", "--max-in-flight=2")
    second.until_said("0 of 6 archived")
    world.fal.set(concurrency=8)
    told = [one.finish() for one in (first, second)]
    assert [said(one) for one in told] == [(0, None, ROWS, 0, 0)] * 2
    assert all("$1.20 spent since this run began, $1.20 for" in one.stderr for one in told)
    assert (world.accepted, len(world.videos())) == (ROWS, ROWS)


def test_orders_for_a_batch_that_is_not_there_are_refused(world: World) -> None:
    """And make no ledger."""
    for command in ("pause", "resume", "cancel"):
        refused = world.command(command, "dogs")
        assert (refused.code, world.ledger.exists()) == (2, False), refused.text


def test_watching_in_a_log_is_a_line_now_and_then_until_the_end(world: World, book: Book) -> None:
    world.fal.break_("model_refusal", prompt="A cat 6")
    running = world.start("cats.csv")
    until(book, submitted=ROWS)
    watching = world.command.start("status", "cats", "--watch", "--every=0.2")
    assert watching.process.stdout is not None
    first = watching.process.stdout.readline()
    assert re.match(r"cats: 0 of 6 archived; waiting 0; in flight 6; money \$0.00 spent", first)
    world.fal.set(concurrency=8)
    watched = watching.finish()
    running.finish()
    last = [line for line in watched.stdout.splitlines() if "; waiting" in line][-1]
    assert watched.code == 3, watched.text
    assert "cats: 5 of 6 archived" in last
    assert "fal's run time p50 0." in last
    assert "1 failed with content_policy_violation" in last


def test_watching_at_a_terminal_is_a_table_and_ends_with_ctrl_c(world: World, book: Book) -> None:
    running = world.start("cats.csv")
    until(book, submitted=ROWS)
    terminal, screen = pty.openpty()
    watching = subprocess.Popen(
        [BIN / "reelbatch", "status", "cats", "--watch"],
        stdin=subprocess.DEVNULL,
        stdout=screen,
        stderr=screen,
        env=world.command.environment | {"TERM": "xterm"},
    )
    os.close(screen)
    seen = read_until(terminal, "in flight")
    watching.send_signal(signal.SIGINT)
    seen += read_until(terminal, None)
    os.close(terminal)
    assert watching.wait(60) == 4
    assert "cats: 0 of 6 archived" in seen
    assert "Traceback" not in seen
    world.fal.set(concurrency=8)
    assert running.finish().code == 0


def read_until(terminal: int, words: str | None) -> str:
    """What it shows, until these words come, or it ends."""
    seen = ""
    while words is None or words not in seen:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            piece = b""
        if not piece:
            assert words is None, f"it ended before {words!r}: {seen}"
            break
        seen += piece.decode(errors="replace")
    return seen
