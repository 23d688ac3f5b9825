"""Free ports below the range from which the system takes its own.

A port found free and used a second later would otherwise now and then belong to somebody's
outgoing connection by then.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable

LOWEST, HIGHEST = 12000, 32000


def free_port(
    *, below: int = HIGHEST, suits: Callable[[int], bool] = lambda port: True, tries: int = 500
) -> int:
    """A port of 127.0.0.1 nobody listens on, and that suits."""
    for _ in range(tries):
        port = random.randrange(LOWEST, below)
        if is_free(port) and suits(port):
            return port
    raise OSError(f"no free port of 127.0.0.1 between {LOWEST} and {below} in {tries} tries")


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
