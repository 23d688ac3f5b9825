"""Lead any program through a storm: faults at fal, kills at its processes, and then calm.

The program is a command that carries on when it is started again. Both reelbatch and the usual
loop go through here, so that they meet the same weather and the same blows.
"""

from __future__ import annotations

import itertools
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bench.storm import Blow, Storm
from reelbatch.cli.emulated import EmulatedFal

LEAVES_WITHIN = 40.0
"""A process that was asked to end lets its POSTs be answered first."""
LEFT_ALONE = 15.0
HANGS_AFTER = 600.0


class Door:
    """The emulator's own door for tests."""

    def __init__(self, fal: EmulatedFal, ca_file: str | None = None) -> None:
        verify: Any = ca_file or True
        url = f"{fal.queue_url}/_emulator"
        self._root = fal.queue_url
        self._since = time.monotonic()
        self._client = httpx.Client(base_url=url, timeout=60, verify=verify, trust_env=False)

    @property
    def age_seconds(self) -> float:
        """About how long the emulator has been there."""
        return time.monotonic() - self._since

    def submissions(self) -> list[dict[str, Any]]:
        return list(self._client.get("/submissions").raise_for_status().json()["submissions"])

    def blow(self, rules: Sequence[Mapping[str, Any]]) -> None:
        self._client.post("/faults", json=list(rules)).raise_for_status()

    def strikes(self) -> dict[str, int]:
        """How often each fault that is switched on has struck."""
        active = self._client.get("/state").raise_for_status().json()["faults"]
        return {rule["fault"]: rule["strikes"] for rule in active}

    def mend(self) -> None:
        self._client.delete("/faults").raise_for_status()

    def lock(self, locked: bool) -> None:
        self._client.post("/lock" if locked else "/unlock").raise_for_status()

    def content(self, url: str) -> bytes:
        """A made video, whatever name of fal's its URL has."""
        return self._client.get(self._root + urlsplit(url).path).raise_for_status().content


@dataclass(kw_only=True)
class Ordeal:
    """One program in one storm."""

    storm: Storm
    door: Door
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    at_work: bytes
    """What a process says on stderr when its work has begun; blows are timed from there."""
    lanes: int = 1
    """How many of its processes may be at work at once."""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    """Of the processes, in the order in which they were started."""
    strikes: Counter[str] = field(default_factory=Counter)
    hung: list[Path] = field(default_factory=list)
    """Processes that did not end in the calm."""
    begun: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def __str__(self) -> str:
        struck = ", ".join(f"{fault} {n}" for fault, n in sorted(self.strikes.items()) if n)
        processes = len(list((self.folder / "said").glob("*.out")))
        return f"{processes} processes; struck: {struck}"

    def run(self) -> None:
        """The whole storm; afterwards nothing of it blows and no process is left."""
        with ThreadPoolExecutor() as threads:
            work = [threads.submit(self._weather)]
            work += [threads.submit(self._lane, lane) for lane in range(self.lanes)]
            for one in work:
                one.result()

    def start(self, *arguments: str) -> Path:
        """One process that nobody disturbs, to its end; returns where its words are."""
        process, said = self._start(arguments)
        try:
            process.wait(HANGS_AFTER)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.hung.append(said)
        return said

    def _weather(self) -> None:
        """It begins when the first process is at work."""
        self.begun.wait()
        loss = self.storm.loss(self.door.age_seconds)
        end = time.monotonic() + self.storm.seconds
        try:
            for spell in self.storm.spells:
                self.door.mend()
                self.door.blow([loss, *spell.rules])
                self.door.lock(spell.locked)
                time.sleep(max(0.0, min(spell.seconds, end - time.monotonic())))
                self.strikes.update(self.door.strikes())
        finally:
            self.over.set()
            self.door.mend()
            self.door.lock(False)
            if self.storm.loss_is_for_good:
                self.door.blow([loss])

    def _lane(self, lane: int) -> None:
        """One process after the other; the second lane and those after it rest in between."""
        for blow in self.storm.blows(lane):
            if self.over.wait(0.2 if lane == 0 else blow.after_seconds):
                return
            process, said = self._start()
            self._strike(process, said, blow)

    def _strike(self, process: subprocess.Popen[bytes], said: Path, blow: Blow) -> None:
        words = said.with_suffix(".err")
        while process.poll() is None and self.at_work not in words.read_bytes():
            time.sleep(0.05)
        self.begun.set()
        if self._ended(process, blow.after_seconds):
            return
        match blow.ending:
            case "kill":
                process.kill()
            case "interrupt":
                process.send_signal(signal.SIGINT)
            case "interrupt twice":
                process.send_signal(signal.SIGINT)
                self._ended(process, 1.0)
                process.send_signal(signal.SIGINT)
            case "terminate":
                process.send_signal(signal.SIGTERM)
            case "freeze":
                process.send_signal(signal.SIGSTOP)
                self.over.wait(blow.frozen_seconds)
                process.send_signal(signal.SIGCONT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LEFT_ALONE)
                process.kill()
            case "leave alone":
                self._ended(process, LEFT_ALONE)
                process.kill()
        self._ended(process, LEAVES_WITHIN)
        process.kill()
        process.wait()

    def _ended(self, process: subprocess.Popen[bytes], seconds: float) -> bool:
        """Whether it ended by itself within the time, or before the storm did."""
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline and not self.over.is_set():
            time.sleep(0.05)
        return process.poll() is not None

    def _start(self, arguments: Sequence[str] = ()) -> tuple[subprocess.Popen[bytes], Path]:
        said = self.folder / "said" / f"{next(self.numbers):03}"
        said.parent.mkdir(exist_ok=True)
        with said.with_suffix(".out").open("wb") as out, said.with_suffix(".err").open("wb") as err:
            process = subprocess.Popen(
                [*(arguments or self.command)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=dict(self.environment),
                cwd=self.folder,
            )
        return process, said
