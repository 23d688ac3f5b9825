"""The real program, started once; each test finds it as if it were new."""

from __future__ import annotations

import http.server
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

KEY = "Key test:secret"
OVI = "fal-ai/ovi"
IMAGE_TO_VIDEO = "fal-ai/ovi/image-to-video"


@dataclass
class Emulated:
    """A caller with a good key, and the emulator's own door."""

    urls: dict[str, Any]
    http: httpx.Client
    process: subprocess.Popen[str]

    def submit(
        self,
        prompt: str = "a fox",
        endpoint: str = OVI,
        headers: dict[str, str] | None = None,
        webhook: str | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        answer = self.post(prompt, endpoint, headers, webhook, **more)
        assert answer.status_code == 200, answer.text
        submitted: dict[str, Any] = answer.json()
        return submitted

    def post(
        self,
        prompt: str = "a fox",
        endpoint: str = OVI,
        headers: dict[str, str] | None = None,
        webhook: str | None = None,
        **more: Any,
    ) -> httpx.Response:
        query = {} if webhook is None else {"fal_webhook": webhook}
        body = {"prompt": prompt, "seed": 7, **more}
        return self.http.post(f"/{endpoint}", json=body, params=query, headers=headers)

    def events(self, submitted: dict[str, Any]) -> list[dict[str, Any]]:
        """Every change of the request, up to its end."""
        stream = f"{submitted['status_url']}/stream"
        with self.http.stream("GET", stream, params={"logs": "1"}) as answer:
            lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
        return [json.loads(line.removeprefix("data: ")) for line in lines]

    def result(self, submitted: dict[str, Any]) -> httpx.Response:
        """The result, waited for."""
        self.events(submitted)
        return self.http.get(submitted["response_url"])

    def make(self, prompt: str = "a fox", endpoint: str = OVI, **more: Any) -> dict[str, Any]:
        """A video made from start to end: the result's body."""
        answer = self.result(self.submit(prompt, endpoint, **more))
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.http.get("/_emulator/state").json()
        return state

    def submission(self, submitted: dict[str, Any]) -> dict[str, Any]:
        """What the emulator itself knows of a request."""
        every = self.http.get("/_emulator/submissions").json()["submissions"]
        found: dict[str, Any]
        (found,) = (each for each in every if each["request_id"] == submitted["request_id"])
        return found

    def set(self, **settings: Any) -> None:
        self.http.post("/_emulator/settings", json=settings).raise_for_status()

    def break_(self, fault: str, **rule: Any) -> None:
        """Switch on one fault: `when` words as in a plan, `with_` for its parameters."""
        wish = {"fault": fault, **{name.rstrip("_"): value for name, value in rule.items()}}
        self.http.post("/_emulator/faults", json=wish).raise_for_status()

    def as_new(self, settings: dict[str, Any]) -> None:
        self.http.delete("/_emulator/faults").raise_for_status()
        self.http.post("/_emulator/unlock").raise_for_status()
        self.set(**settings)
        self.http.post("/_emulator/forget").raise_for_status()


def start(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "reelbatch.emulator", "--watch-stdin", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ready(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


@pytest.fixture(scope="session")
def running_emulator() -> Iterator[Emulated]:
    with start("--service-seconds", "0.05", "--concurrency", "8") as process:
        urls = ready(process)
        with httpx.Client(
            base_url=urls["queue_url"], headers={"Authorization": KEY}, timeout=20
        ) as http_client:
            yield Emulated(urls, http_client, process)
        process.terminate()
        _, complaints = process.communicate(timeout=20)
        assert (process.returncode, complaints) == (0, "")


@pytest.fixture
def emulator(running_emulator: Emulated) -> Iterator[Emulated]:
    settings = running_emulator.state()["settings"]
    running_emulator.as_new(settings)
    yield running_emulator
    running_emulator.as_new(settings)


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.body)
        return read


@dataclass
class Receiver:
    """Somebody's webhook endpoint; it answers 200 until told otherwise."""

    url: str
    calls: queue.Queue[Received] = field(default_factory=queue.Queue)
    answers: list[int] = field(default_factory=list)
    """Codes for the next calls."""

    def next(self) -> Received:
        """The next webhook, waited for."""
        return self.calls.get(timeout=20)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(there.answers.pop(0) if there.answers else 200)
            self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()
            headers = {name.lower(): value for name, value in self.headers.items()}
            there.calls.put(Received(headers, body))

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        there = Receiver(f"http://127.0.0.1:{server.server_port}/hook?job=1&t=a+b")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield there
        server.shutdown()
