"""How fast receivers answer fal's calls: a hundred signed ones a second, each its own job's.

`python -m bench.webhooks [--rate 100] [--seconds 10]` prints one table: 1 and 2 `reelbatch serve`
over SQLite and Postgres. A call's time begins when it is due, so that a queue counts too; fal
waits 15 s for the first answer. On a busy machine look at the CPU a call costs its receiver.
Postgres runs out of a wheel, with its own durable defaults.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.ledger import TERMS, databases, fill
from reelbatch.ledger import answers, claims, open_ledger

KEY = Ed25519PrivateKey.generate()
FILE = {"url": "https://v3b.fal.media/files/b/1/out.mp4", "file_size": 1_000_000}


@dataclass(frozen=True)
class Call:
    """What fal sends for one job."""

    token: str
    request_id: str

    @property
    def body(self) -> bytes:
        said = {"request_id": self.request_id, "gateway_request_id": self.request_id}
        return json.dumps(said | {"status": "OK", "payload": {"video": FILE, "seed": 7}}).encode()

    @property
    def headers(self) -> dict[str, str]:
        now = str(int(time.time()))
        words = (self.request_id, "user_1", now, hashlib.sha256(self.body).hexdigest())
        return {
            "X-Fal-Webhook-Request-Id": self.request_id,
            "X-Fal-Webhook-User-Id": "user_1",
            "X-Fal-Webhook-Timestamp": now,
            "X-Fal-Webhook-Signature": KEY.sign("\n".join(words).encode()).hex(),
        }


def submitted(url: str, count: int) -> list[Call]:
    """So many jobs that fal has, and the call that is to come for each."""
    waiting = fill(url, count)
    with closing(open_ledger(url)) as ledger:
        calls = []
        for job_id in waiting:
            claimed = claims.claim(ledger, job_id, {"prompt": "A red kite"}, TERMS)
            assert isinstance(claimed, claims.Claimed), claimed
            there = f"http://127.0.0.1/requests/{claimed.attempt_id}"
            handle = answers.Accepted(
                request_id=claimed.attempt_id,
                status_url=there,
                response_url=there,
                cancel_url=there,
            )
            answers.accepted(ledger, claimed.attempt_id, handle)
            calls.append(Call(claimed.token, claimed.attempt_id))
    return calls


class Keys(BaseHTTPRequestHandler):
    """Where fal publishes its key."""

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        x = base64.urlsafe_b64encode(KEY.public_key().public_bytes_raw()).rstrip(b"=").decode()
        body = json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def keys() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/.well-known/jwks.json"
        server.shutdown()


@contextmanager
def receivers(
    count: int, ledger: str, jwks_url: str, cpu_seconds: list[float]
) -> Iterator[list[str]]:
    """Their addresses; at the end, what each has cost."""
    environment = {name: value for name, value in os.environ.items() if name != "FAL_KEY"}
    environment |= {"REELBATCH_LEDGER": ledger, "REELBATCH_WEBHOOK_JWKS_URL": jwks_url}
    environment["REELBATCH_FAL_QUEUE_URL"] = "http://127.0.0.1"
    command = [sys.executable, "-m", "reelbatch.cli", "serve", "--port", "0", "--json"]
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(count)
    ]
    try:
        yield [json.loads(one.stdout.readline())["url"] for one in started if one.stdout]
    finally:
        for one in started:
            one.terminate()
            _, _, cost = os.wait4(one.pid, 0)
            cpu_seconds.append(cost.ru_utime + cost.ru_stime)


async def answer_times(urls: Sequence[str], calls: Sequence[Call], rate: float) -> list[float]:
    """Seconds from when a call was due to its 200."""
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as http:
        begun = time.monotonic()

        async def one(n: int, call: Call) -> float:
            due = begun + n / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            url = f"{urls[n % len(urls)]}/webhooks/fal/{call.token}"
            answer = await http.post(url, content=call.body, headers=call.headers)
            assert answer.status_code == 200, answer.text
            return time.monotonic() - due

        return await asyncio.gather(*(one(n, call) for n, call in enumerate(calls)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--seconds", type=float, default=10)
    asked = parser.parse_args()
    count = int(asked.rate * asked.seconds)
    print(f"{count} calls, {asked.rate:g} a second, all answered 200; milliseconds to the answer")
    print(f"{'':10} {'receivers':>9} {'median':>8} {'95 %':>8} {'longest':>8} {'CPU':>8}")
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder)) as places, keys() as jwks:
        for name, new in places.items():
            for n in (1, 2):
                url = new()
                calls = submitted(url, count)
                cpu: list[float] = []
                with receivers(n, url, jwks, cpu) as urls:
                    times = [1000 * t for t in asyncio.run(answer_times(urls, calls, asked.rate))]
                high = statistics.quantiles(times, n=20)[-1]
                print(f"{name:10} {n:9} {statistics.median(times):8.1f} {high:8.1f}", end="")
                print(f" {max(times):8.1f} {1000 * sum(cpu) / count:8.1f}", flush=True)


if __name__ == "__main__":
    main()
