"""Suspend a program: its ports take what the kernel can hold, and nobody answers."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def frozen(process: subprocess.Popen[Any]) -> Iterator[None]:
    """It and all that it started, for as long as the block lasts."""
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGCONT)
