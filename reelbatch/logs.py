"""The log on stderr: one JSON object a line; at a terminal only what is amiss, in plain words.

Whoever logs says a whole sentence and hands the ids over beside it, for Prefect's pages show
the sentence alone. URLs lose what signs them before any handler sees the line.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from reelbatch.urls import without_queries

ROOT = "reelbatch"
"""Prefect's pages show this logger and those below it (PREFECT_LOGGING_EXTRA_LOGGERS)."""


def say(
    log: logging.Logger, level: int, message: str, *, reported: bool = False, **ids: object
) -> None:
    """One line. `reported`: at its end the command tells people the same.

    A line at debug level stays here: each would cost Prefect a millisecond or two.
    """
    if not log.isEnabledFor(level):
        return
    known = {name: value for name, value in ids.items() if value is not None}
    extra = {"ids": known, "reported": reported, "send_to_api": level > logging.DEBUG}
    try:
        log.log(level, "%s", without_queries(message), extra=extra)
    except Exception:  # Prefect's handler may be told to raise; no run ends for a line of its log.
        return


def open_log(level: str, *, everybody: bool = False) -> None:
    """Write the log of this process to stderr, with `everybody` other libraries' warnings too."""
    ours = logging.getLogger(ROOT)
    ours.setLevel(level.upper())
    # A log that cannot be written is no reason to fill stderr with tracebacks.
    logging.raiseExceptions = False
    if any(isinstance(handler, ToStderr) for handler in ours.handlers):
        return
    handler = ToStderr()
    ours.addHandler(handler)
    ours.propagate = False  # Prefect's own console would say each line once more.
    if everybody:
        logging.getLogger().addHandler(handler)


class ToStderr(logging.Handler):
    """For a person where a person reads it, else for machines."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if line := line_for(record, sys.stderr):
                sys.stderr.write(line)
                sys.stderr.flush()
        except Exception:
            self.handleError(record)


def line_for(record: logging.LogRecord, stream: TextIO) -> str:
    """Empty for what need not be said there."""
    if not stream.isatty():
        return as_json(record) + "\n"
    if record.levelno < logging.WARNING or getattr(record, "reported", False):
        return ""
    # The progress line is drawn anew below it.
    return f"\r\033[K{record.levelname.lower()}: {_message(record)}{_traceback(record)}\n"


def as_json(record: logging.LogRecord) -> str:
    """Its first four keys are always there, an id where the line is about one."""
    line = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "message": _message(record),
        "logger": record.name,
        **getattr(record, "ids", {}),
    }
    if shown := _traceback(record):
        line["exception"] = shown.lstrip()
    return json.dumps(line, default=str)


def _message(record: logging.LogRecord) -> str:
    """Of other libraries' lines nobody has cut anything yet."""
    return without_queries(record.getMessage())


def _traceback(record: logging.LogRecord) -> str:
    """A bug shows itself whole."""
    if not record.exc_info:
        return ""
    return "\n" + without_queries(logging.Formatter().formatException(record.exc_info))
