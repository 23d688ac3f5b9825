"""Two programs side by side on the same work: `reelbatch run` and the peer loop.

Each round has an emulator, a ledger and a prefix of its own; the S3 server (weed) and Prefect's
server are started once and serve all rounds, so that a process's CPU is its own.
"""

from __future__ import annotations

import heapq
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import yaml
from sqlalchemy import select

from bench.cost import Cost, cost_of, cpu_so_far
from reelbatch.cli.emulated import EmulatedFal
from reelbatch.cli.prefect_home import take_home
from reelbatch.cli.prefect_server import CLIENT_SETTINGS, OwnServer
from reelbatch.cli.s3_server import LocalS3
from reelbatch.jobs import State
from reelbatch.ledger import open_ledger
from reelbatch.ledger.schema import attempts, jobs

BUCKET = "bench"


@dataclass(frozen=True, kw_only=True)
class Mix:
    """So many jobs over so many slots. `sigma` spreads the service time log-normally."""

    jobs: int
    slots: int
    seconds: float
    sigma: float = 0.0
    media_bytes: int = 750_000

    @property
    def ideal(self) -> float:
        """Seconds, were no slot ever empty."""
        return self.jobs * self.seconds / self.slots

    def __str__(self) -> str:
        spread = f" x log-normal({self.sigma:g})" if self.sigma else ""
        return f"{self.jobs} jobs of {self.seconds:g} s{spread}, {self.slots} slots"


@dataclass(frozen=True, kw_only=True)
class Round:
    """One program's run, as the emulator saw it. Seconds; the peer knows no `late`."""

    busy: float
    of_ideal: float
    """Beside slots that take the next job at once, until none is left."""
    wall: float
    beyond: float
    """Wall beyond what the same service times need on slots that never wait."""
    calls_a_job: float
    cpu: float
    megabytes: float
    fal_cpu: float
    prefect_cpu: float
    late: tuple[float, ...]
    """From each completion at fal until it was ARCHIVED."""
    accepted: int


@dataclass(frozen=True, kw_only=True)
class Place:
    """What both programs use."""

    folder: Path
    s3: LocalS3
    prefect: OwnServer
    numbers: Iterator[int]

    def reelbatch(self, mix: Mix, *options: str) -> Round:
        """A whole `reelbatch run` in a process of its own: ledger, checks, sidecars and all.

        With `--collect webhook` among the options a `reelbatch serve` stands beside it.
        """
        n = next(self.numbers)
        ledger = f"sqlite:///{self.folder / f'ledger-{n}.db'}"
        command = [sys.executable, "-m", "reelbatch.cli", "run", "MANIFEST", "--yes"]
        command += ["--archive", f"s3://{BUCKET}/{n}", "--ledger", ledger, *options]
        return self._round(mix, command, ledger, serves="webhook" in options)

    def peer(self, mix: Mix) -> Round:
        window = str(2 * mix.slots)
        command = [sys.executable, "-m", "bench.peer_loop", "MANIFEST", BUCKET]
        return self._round(mix, [*command, "--in-flight", window], None)

    def _round(
        self, mix: Mix, command: Sequence[str], ledger: str | None, *, serves: bool = False
    ) -> Round:
        manifest = self._manifest(mix.jobs)
        with emulator(mix, self.folder) as fal:
            environment = {
                **os.environ,
                **CLIENT_SETTINGS,
                **fal.environment,
                "REELBATCH_WEBHOOK_JWKS_URL": fal.jwks_url,
                **self.s3.environment,
                "PREFECT_API_URL": self.prefect.api_url,
                "PREFECT_LOGGING_LEVEL": "ERROR",
            }
            words = [str(manifest) if word == "MANIFEST" else word for word in command]
            prefect_before = cpu_so_far(self.prefect.child.process.pid)
            with receiver(environment, ledger) if ledger and serves else nullcontext():
                cost = cost_of(words, environment)
            fal_cpu = cpu_so_far(fal.child.process.pid)
            prefect_cpu = cpu_so_far(self.prefect.child.process.pid) - prefect_before
            state = httpx.get(f"{fal.queue_url}/_emulator/state").json()
            shown = httpx.get(f"{fal.queue_url}/_emulator/submissions", timeout=60).json()
        return _measured(mix, state, shown["submissions"], cost, (fal_cpu, prefect_cpu), ledger)

    def _manifest(self, rows: int) -> Path:
        path = self.folder / f"rows-{rows}.csv"
        lines = (f"r{n},a red kite over the sea number {n}" for n in range(rows))
        path.write_text("\n".join(["id,prompt", *lines]))
        return path


@contextmanager
def place() -> Iterator[Place]:
    """Both servers, for as long as the block lasts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        s3 = LocalS3.start(folder / "s3")
        prefect = OwnServer(take_home(folder / "prefect"), os.environ)
        try:
            prefect.wait_ready()
            s3.client.create_bucket(Bucket=BUCKET)
            yield Place(folder=folder, s3=s3, prefect=prefect, numbers=count(1))
        finally:
            prefect.stop()
            s3.stop()


@contextmanager
def emulator(mix: Mix, folder: Path) -> Iterator[EmulatedFal]:
    """A fal with these slots; the service times of a spread come from one seed."""
    faults = None
    if mix.sigma:
        faults = folder / "spread.yaml"
        how = {"median": 1.0, "sigma": mix.sigma}
        spread = {"fault": "slow_service", "with": how}
        faults.write_text(yaml.safe_dump({"seed": 7, "faults": [spread]}))
    fal = EmulatedFal.start(
        concurrency=mix.slots,
        service_seconds=mix.seconds,
        faults=faults,
        options=["--media=tiny", f"--media-bytes={mix.media_bytes}"],
    )
    try:
        yield fal
    finally:
        fal.stop()


@contextmanager
def receiver(environment: dict[str, str], ledger: str) -> Iterator[None]:
    """A `reelbatch serve` on this ledger; the environment learns where fal finds it."""
    command = [sys.executable, "-m", "reelbatch.cli", "serve", "--port", "0", "--json"]
    with subprocess.Popen(
        [*command, "--ledger", ledger], env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        environment["REELBATCH_WEBHOOK_URL"] = json.loads(process.stdout.readline())["url"]
        try:
            yield
        finally:
            process.terminate()


def _measured(
    mix: Mix,
    state: dict[str, Any],
    submissions: Sequence[dict[str, Any]],
    cost: Cost,
    servers: tuple[float, float],
    ledger: str | None,
) -> Round:
    submissions = sorted(submissions, key=lambda one: str(one["started_at"]))
    ends = {one["request_id"]: _at(one["ended_at"]) for one in submissions}
    wall = max(ends.values()) - min(_at(one["sent_at"]) for one in submissions)
    served = [_at(one["ended_at"]) - _at(one["started_at"]) for one in submissions]
    worked = sum(served)
    return Round(
        busy=worked / (mix.slots * wall),
        of_ideal=_never_waiting(served, mix.slots) / wall,
        wall=wall,
        beyond=wall - worked / mix.slots,
        calls_a_job=(state["calls"].get("status", 0) + state["calls"].get("stream", 0)) / mix.jobs,
        cpu=cost.cpu_seconds,
        megabytes=cost.megabytes,
        fal_cpu=servers[0],
        prefect_cpu=servers[1],
        late=tuple(_late(ledger, ends)) if ledger else (),
        accepted=state["accepted"]["total"],
    )


def _never_waiting(served: Sequence[float], slots: int) -> float:
    """Seconds for jobs of this length, in this order, each begun as soon as a slot is free."""
    free = [0.0] * slots
    for seconds in served:
        heapq.heappush(free, heapq.heappop(free) + seconds)
    return max(free)


def _late(ledger_url: str, ends: dict[str, float]) -> Iterator[float]:
    ledger = open_ledger(ledger_url)
    with ledger.reading() as tx:
        of = select(attempts.c.request_id, jobs.c.state_at).join(
            jobs, jobs.c.attempt_id == attempts.c.id
        )
        for request_id, archived_at in tx.execute(of.where(jobs.c.state == State.ARCHIVED)):
            yield archived_at.timestamp() - ends[request_id]
    ledger.close()


def _at(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()


def paired(rounds: int) -> Iterator[int]:
    """Numbers of the pairs, with a word on the terminal for each."""
    for n in range(1, rounds + 1):
        print(f"  pair {n} of {rounds} at {time.strftime('%H:%M:%S')}", file=sys.stderr, flush=True)
        yield n
