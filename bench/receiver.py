"""A `reelbatch serve` that dies now and then while the storm blows, and is started again."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random


@contextmanager
def receiving(
    command: Sequence[str],
    environment: Mapping[str, str],
    said: Path,
    *,
    luck: Random,
    calm: threading.Event,
) -> Iterator[None]:
    """Killed after some seconds, again and again, until it is calm; then it stays to the end."""
    ended = threading.Event()
    said.parent.mkdir(exist_ok=True)

    def keep_up() -> None:
        with said.open("wb") as words:
            while not ended.is_set():
                process = subprocess.Popen(
                    command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=words,
                    stderr=words,
                )  # fmt: skip
                calm.wait(luck.uniform(5.0, 20.0))
                if calm.is_set():
                    ended.wait()
                process.kill()
                process.wait()

    keeper = threading.Thread(target=keep_up)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        calm.set()
        keeper.join()
