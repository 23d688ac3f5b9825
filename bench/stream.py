"""Polling beside fal's status stream: calls, delay and CPU, with many requests in flight at once.

`python -m bench.stream [--jobs 400] [--slots 400] [--seconds 5] [--sigma 0.4] [--rounds 3]` prints
one table, medians of rounds that take turns. *Late* is from the end of a request at fal until we
know of it. *Cut* are streams that break off after their first event, as behind an impatient
proxy; *held back* those that never begin, as behind one that buffers: both are then polled. The
last column is the emulator's CPU: what the way costs fal.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx

from bench.cost import cpu_so_far
from bench.sides import Mix, emulator
from reelbatch.cli.emulated import EmulatedFal
from reelbatch.config import Settings
from reelbatch.fal.answers import Accepted, Submission
from reelbatch.fal.client import Fal, open_fal
from reelbatch.run.polling import Poller
from reelbatch.run.run_times import RunTimes
from reelbatch.run.schedule import Schedule
from reelbatch.run.streams import Streams, places_for_streams

OVI = "fal-ai/ovi"
Sent = tuple[float, Submission]
"""When fal took it, and its handle."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """What following a job cost. `late` in seconds, CPU in ms a job."""

    calls: float
    late: tuple[float, float]
    cpu: float
    fal_cpu: float


def poller_of(fal: Fal, *, streams: bool) -> Poller:
    """As a run's, by either way."""
    return Poller(
        fal.status,
        Schedule(RunTimes()),
        run_timeout_seconds=3600,
        streams=Streams(fal.stream, places=places_for_streams()) if streams else None,
    )


async def followed(poller: Poller, sent: Sequence[Sent]) -> list[float]:
    """Until each is known to have ended; returns when that was."""
    work = asyncio.create_task(poller.work())

    async def end_of(sent_at: float, submission: Submission) -> float:
        await poller.finished(submission, age=time.time() - sent_at)
        return time.time()

    try:
        return await asyncio.gather(*(end_of(*one) for one in sent))
    finally:
        work.cancel()


async def measured(emulated: EmulatedFal, jobs: int, *, streams: bool) -> Way:
    async with open_fal(Settings(**emulated.settings)) as fal:
        sent = [await one_sent(fal, n) for n in range(jobs)]
        cpu, fal_cpu = time.process_time(), cpu_so_far(emulated.child.process.pid)
        ends = await followed(poller_of(fal, streams=streams), sent)
        cpu = time.process_time() - cpu
        fal_cpu = cpu_so_far(emulated.child.process.pid) - fal_cpu
    async with httpx.AsyncClient(base_url=emulated.queue_url, timeout=60) as http:
        shown = (await http.get("/_emulator/submissions")).json()
        calls = (await http.get("/_emulator/state")).json()["calls"]
    there = {one["request_id"]: one["ended_at"] for one in shown["submissions"]}
    late = sorted(
        end - datetime.fromisoformat(there[one.request_id]).timestamp()
        for end, (_, one) in zip(ends, sent, strict=True)
    )
    return Way(
        calls=(calls.get("status", 0) + calls.get("stream", 0)) / jobs,
        late=(late[len(late) // 2], late[int(0.95 * (len(late) - 1))]),
        cpu=1000 * cpu / jobs,
        fal_cpu=1000 * fal_cpu / jobs,
    )


async def one_sent(fal: Fal, n: int) -> Sent:
    outcome = await fal.submit(
        OVI, {"prompt": f"{n}"}, token=f"token-of-{n}", start_timeout_seconds=3600
    )
    assert isinstance(outcome, Accepted), outcome
    return time.time(), outcome.submission


def one_round(mix: Mix, folder: Path, *, streams: bool, fault: str | None) -> Way:
    with emulator(mix, folder) as fal:
        if fault:
            httpx.post(f"{fal.queue_url}/_emulator/faults", json={"fault": fault})
        return asyncio.run(measured(fal, mix.jobs, streams=streams))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=400)
    parser.add_argument("--slots", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--sigma", type=float, default=0.4)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    mix = Mix(jobs=asked.jobs, slots=asked.slots, seconds=asked.seconds, sigma=asked.sigma)
    ways: dict[str, tuple[bool, str | None]] = {
        "polled": (False, None),
        "streamed": (True, None),
        "cut": (True, "stream_broken"),
        "held back": (True, "stream_hanging"),
    }
    found: dict[str, list[Way]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as name:
        for _ in range(asked.rounds):
            for way, (streams, fault) in ways.items():
                found[way].append(one_round(mix, Path(name), streams=streams, fault=fault))
    print(f"{mix}; medians of {asked.rounds}")
    print(f"  {'':12} {'calls/job':>9} {'late p50':>9} {'p95 s':>8} {'CPU ms':>8} {'fal ms':>8}")
    for way, rounds in found.items():
        show(way, rounds)


def show(way: str, rounds: Sequence[Way]) -> None:
    p50, p95 = (statistics.median(one.late[n] for one in rounds) for n in (0, 1))
    calls, cpu, fal_cpu = (
        statistics.median(getattr(one, name) for one in rounds)
        for name in ("calls", "cpu", "fal_cpu")
    )
    print(f"  {way:12} {calls:9.2f} {p50:9.3f} {p95:8.3f} {cpu:8.2f} {fal_cpu:8.2f}", flush=True)


if __name__ == "__main__":
    main()
