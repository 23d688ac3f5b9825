"""What a video costs on its way home: download, check, hash, put; CPU ms of our process.

`python -m bench.archive_path [--videos 100] [--sizes 0.75 5] [--rounds 3]` prints one table. Beside
our own path: the floor (raw sockets and sha256, to a server that only reads), and the obvious
code (httpx, `upload_fileobj`). The S3 server is weed; servers are processes of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import httpx

from reelbatch.archive.keeper import Keeper, open_keeper
from reelbatch.archive.open import open_archive
from reelbatch.cli.emulated import KEY, EmulatedFal
from reelbatch.cli.s3_server import LocalS3
from reelbatch.config import DOWNLOAD_CAP_BYTES
from reelbatch.jobs import JobId
from reelbatch.media.fetch import Fetcher
from reelbatch.media.mp4 import check_video

AT_ONCE = 8
BUCKET = "bench"
Way = Callable[[int], Awaitable[None]]
"""Brings one video home, under this number."""

FILES = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
content = open(sys.argv[1], "rb").read()
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        while left: left -= len(self.rfile.read(min(left, 1 << 20)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextmanager
def files(path: Path) -> Iterator[str]:
    """A server of one file, which also takes whatever is put there."""
    command = [sys.executable, "-c", FILES, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.kill()


def video_of(megabytes: float, folder: Path) -> Path:
    """A real video of the emulator's, of that size."""
    size = int(megabytes * 1_000_000)
    fal = EmulatedFal.start(service_seconds=0.1, options=["--media=tiny", f"--media-bytes={size}"])
    try:
        with httpx.Client(headers={"Authorization": f"Key {KEY}"}, timeout=60) as http:
            sent = http.post(f"{fal.queue_url}/fal-ai/ovi", json={"prompt": "a kite"}).json()
            while http.get(sent["status_url"]).json()["status"] != "COMPLETED":
                time.sleep(0.1)
            url = urlsplit(http.get(sent["response_url"]).json()["video"]["url"])
            path = folder / f"{megabytes}.mp4"
            path.write_bytes(http.get(f"{fal.cdn_url}{url.path}").content)
    finally:
        fal.stop()
    return path


def ours(fetcher: Fetcher, keeper: Keeper, url: str) -> Way:
    async def bring(n: int) -> None:
        video = await fetcher.get(url, cap_bytes=DOWNLOAD_CAP_BYTES)
        check_video(video.content, expected_bytes=len(video.content))
        await keeper.store_video(f"{n}.mp4", JobId(str(n)), video.content, video.sha256)

    return bring


def floor(threads: Executor, url: str) -> Way:
    """Nothing but bytes: two sockets and a hash, in a thread."""
    address = urlsplit(url).hostname, urlsplit(url).port

    def there_and_back(n: int) -> None:
        with socket.create_connection(address) as there:
            there.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            head, _, rest = _until_blank_line(there)
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            content = bytearray(length)
            content[: len(rest)] = rest
            view, at = memoryview(content), len(rest)
            while at < length:
                at += there.recv_into(view[at:])
        digest = hashlib.sha256(content).hexdigest()
        with socket.create_connection(address) as there:
            put = f"PUT /{n} HTTP/1.1\r\nHost: x\r\nX-Sha: {digest}\r\nContent-Length: {length}"
            there.sendall(put.encode() + b"\r\nConnection: close\r\n\r\n")
            there.sendall(content)
            there.recv(4096)

    async def bring(n: int) -> None:
        await asyncio.get_running_loop().run_in_executor(threads, there_and_back, n)

    return bring


def _until_blank_line(there: socket.socket) -> tuple[bytes, bytes, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        received += there.recv(65536)
    return received.partition(b"\r\n\r\n")


def obvious(http: httpx.AsyncClient, url: str) -> Way:
    """httpx, and boto3 as its documentation shows it."""
    s3 = boto3.client("s3")

    async def bring(n: int) -> None:
        content = (await http.get(url)).content
        hashlib.sha256(content).hexdigest()
        body = io.BytesIO(content)
        await asyncio.to_thread(s3.upload_fileobj, body, BUCKET, f"obvious/{n}.mp4")

    return bring


async def cpu_ms(bring: Way, numbers: range) -> float:
    """Of this process, per video."""
    places = asyncio.Semaphore(AT_ONCE)

    async def in_turn(n: int) -> None:
        async with places:
            await bring(n)

    before = time.process_time()
    await asyncio.gather(*(in_turn(n) for n in numbers))
    return 1000 * (time.process_time() - before) / len(numbers)


async def measured(path: Path, videos: int, rounds: int) -> dict[str, float]:
    """Medians; the three take turns."""
    figures: dict[str, list[float]] = {"floor": [], "ours": [], "obvious": []}
    numbers = count(1)
    async with AsyncExitStack() as stack:
        url = stack.enter_context(files(path))
        threads = stack.enter_context(ThreadPoolExecutor(AT_ONCE))
        archive = open_archive(f"s3://{BUCKET}/{path.stem}", pool_size=AT_ONCE)
        fetcher = await stack.enter_async_context(Fetcher(allow_loopback=True))
        keeper = await stack.enter_async_context(open_keeper(archive, threads))
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=60))
        ways = {
            "floor": floor(threads, url),
            "ours": ours(fetcher, keeper, url),
            "obvious": obvious(http, url),
        }
        for _ in range(rounds):
            first = next(numbers) * videos
            for name, bring in ways.items():
                figures[name].append(await cpu_ms(bring, range(first, first + videos)))
    return {name: statistics.median(values) for name, values in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=100)
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.75, 5.0])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(f"CPU ms a video, {asked.videos} videos, {AT_ONCE} at once; medians of {asked.rounds}")
    print(f"{'MB':>6} {'floor':>8} {'ours':>8} {'obvious':>8} {'ours/floor':>11}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        s3 = LocalS3.start(folder / "s3")
        try:
            s3.client.create_bucket(Bucket=BUCKET)
            os.environ |= s3.environment
            for size in asked.sizes:
                path = video_of(size, folder)
                found = asyncio.run(measured(path, asked.videos, asked.rounds))
                row = "".join(f" {found[way]:8.1f}" for way in ("floor", "ours", "obvious"))
                print(f"{size:6}{row} {found['ours'] / found['floor']:11.1f}", flush=True)
        finally:
            s3.stop()


if __name__ == "__main__":
    main()
