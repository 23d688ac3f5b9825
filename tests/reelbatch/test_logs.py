"""One JSON object a line for machines, what is amiss in plain words for people, no secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from reelbatch.logs import line_for, say
from tests.parts.log import Listening, listening

log = logging.getLogger("reelbatch.run")
SIGNED = "https://me:word@bucket.example/cat.png?X-Amz-Signature=hush#part"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def heard() -> Iterator[Listening]:
    with listening(logging.DEBUG) as heard:
        yield heard


def test_a_line_is_one_object_with_time_level_message_logger_and_ids(heard: Listening) -> None:
    say(log, logging.INFO, "cats: row\ncat-1", batch="cats", attempt=2, request_id=None)
    line = line_for(heard.records[0], io.StringIO())
    assert line.count("\n") == 1
    told = json.loads(line)
    assert datetime.fromisoformat(told.pop("time")).utcoffset() == timedelta(0)
    assert told == {
        "level": "info",
        "message": "cats: row\ncat-1",
        "logger": "reelbatch.run",
        "batch": "cats",
        "attempt": 2,
    }


def test_a_terminal_shows_only_what_is_amiss_and_not_told_at_the_end(heard: Listening) -> None:
    say(log, logging.INFO, "cats: planned")
    say(log, logging.WARNING, "cats: stopped", reported=True)
    say(log, logging.WARNING, "cats: parked")
    log.error("cats: broken")
    shown = [line_for(record, Terminal()) for record in heard.records]
    assert shown == ["", "", "\r\033[Kwarning: cats: parked\n", "\r\033[Kerror: cats: broken\n"]


def test_a_signed_link_is_cut_before_any_handler_sees_it(heard: Listening) -> None:
    """Prefect's pages show the message, too."""
    say(log, logging.INFO, f"cats: cannot read {SIGNED} now")
    message = heard.records[0].getMessage()
    assert message == "cats: cannot read https://bucket.example/cat.png now"


def test_other_peoples_lines_and_their_tracebacks_are_cut_too(heard: Listening) -> None:
    try:
        raise ValueError(SIGNED)
    except ValueError:
        log.exception("cannot read %s", SIGNED)
    (line,) = heard.lines
    assert "ValueError: https://bucket.example/cat.png" in line["exception"]
    shown = line_for(heard.records[0], Terminal())
    assert shown.startswith("\r\033[Kerror: cannot read https://bucket.example/cat.png\nTraceback")
    assert not any(secret in f"{line} {shown}" for secret in ("hush", "word"))


def test_prefect_is_spared_the_debug_lines(heard: Listening) -> None:
    say(log, logging.DEBUG, "cats: submitted")
    say(log, logging.INFO, "cats: planned")
    assert [vars(record)["send_to_api"] for record in heard.records] == [False, True]


def test_a_handler_that_raises_does_not_end_a_run(heard: Listening) -> None:
    """Prefect's does, where it is told to and there is no flow run."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("no flow run")

    broken = Broken()
    log.addHandler(broken)
    try:
        say(log, logging.INFO, "cats: planned")
    finally:
        log.removeHandler(broken)
