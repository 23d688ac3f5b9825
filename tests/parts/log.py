"""What is said in Reelbatch's log, as its handlers see it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reelbatch.logs import ROOT, as_json


class Listening(logging.Handler):
    """Keeps every line as the collector of a log would read it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(as_json(record)) for record in self.records]

    def about(self, words: str) -> list[dict[str, Any]]:
        """Those with these words in them."""
        return [line for line in self.lines if words in line["message"]]


@contextmanager
def listening(level: int = logging.INFO) -> Iterator[Listening]:
    """To the log of this process, from this level on."""
    ours, heard = logging.getLogger(ROOT), Listening()
    before = ours.level
    ours.addHandler(heard)
    ours.setLevel(level)
    try:
        yield heard
    finally:
        ours.removeHandler(heard)
        ours.setLevel(before)


def log_lines(stderr: str) -> list[dict[str, Any]]:
    """The log in what a command has said on stderr."""
    return [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]
