"""What the emulator can: jobs a second that it takes in, runs and hands out, and how full it stays.

`python -m bench.emulator [--jobs 2000] [--slots 400] [--seconds 5]` prints one line. Whoever asks
is as simple as can be: raw POSTs, a queue at fal that is never empty, and then each result and
its video once. What a program beside it does not reach of this, it does not lose to the emulator.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from bench.cost import cpu_so_far
from bench.sides import Mix, emulator
from reelbatch.cli.emulated import KEY, EmulatedFal

AT_ONCE = 64


async def ask(fal: EmulatedFal, jobs: int) -> tuple[float, float]:
    """Seconds until all are submitted, and from the first submission until all are at home."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Key {KEY}"}) as http:
        places = asyncio.Semaphore(AT_ONCE)

        async def submitted(n: int) -> str:
            url = f"{fal.queue_url}/fal-ai/ovi"
            async with places, http.post(url, json={"prompt": f"kite {n}"}) as answer:
                return str((await answer.json())["response_url"])

        async def at_home(url: str) -> None:
            while True:
                async with places, http.get(url) as answer:
                    if answer.status == 200:
                        video = urlsplit((await answer.json())["video"]["url"]).path
                        async with http.get(f"{fal.cdn_url}{video}") as file:
                            await file.read()
                        return
                await asyncio.sleep(1)

        begun = time.monotonic()
        urls = await asyncio.gather(*(submitted(n) for n in range(jobs)))
        taken = time.monotonic() - begun
        await asyncio.gather(*(at_home(url) for url in urls))
        return taken, time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--slots", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=5.0)
    asked = parser.parse_args()
    mix = Mix(jobs=asked.jobs, slots=asked.slots, seconds=asked.seconds)
    with tempfile.TemporaryDirectory() as folder, emulator(mix, Path(folder)) as fal:
        before = cpu_so_far(fal.child.process.pid)
        taken, whole = asyncio.run(ask(fal, asked.jobs))
        cpu = cpu_so_far(fal.child.process.pid) - before
    print(f"{mix}: {asked.jobs / taken:.0f} submissions a second; all at home after {whole:.1f} s")
    print(f"  (ideal {mix.ideal:.1f} s); {1000 * cpu / asked.jobs:.1f} ms of its own CPU a job")


if __name__ == "__main__":
    main()
