"""A forwarder in front of the real S3 server that goes wrong on command.

What it does not break it passes on untouched, so signatures and hashes are still checked.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from tests.parts.weed import Weed

RESET = "reset"
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length"}


@dataclass(kw_only=True)
class Trouble:
    """`answer` (`503 SlowDown`, or `reset`) for puts whose path holds `of`; `stored` all the same.

    The first `after` of them pass; then it strikes `times` times, or until it is mended.
    """

    answer: str
    of: str = ".mp4"
    stored: bool = False
    after: int = 0
    times: int | None = None
    any_method: bool = False
    strikes: int = 0
    _met: int = 0

    def strikes_now(self, method: str, path: str) -> bool:
        if self.of not in path or not (method == "PUT" or self.any_method):
            return False
        self._met += 1
        if self._met <= self.after or self.strikes == self.times:
            return False
        self.strikes += 1
        return True


@dataclass(kw_only=True)
class TroubledS3:
    """An S3 server between us and the real one."""

    weed: Weed
    endpoint_url: str = ""
    troubles: list[Trouble] = field(default_factory=list)
    _deciding: threading.Lock = field(default_factory=threading.Lock)

    @property
    def environment(self) -> dict[str, str]:
        """AWS_* variables for a process."""
        return {**self.weed.environment, "AWS_ENDPOINT_URL_S3": self.endpoint_url}

    def break_(self, answer: str, **rule: object) -> Trouble:
        self.troubles.append(Trouble(answer=answer, **rule))  # type: ignore[arg-type]
        return self.troubles[-1]

    def mend(self) -> None:
        self.troubles.clear()

    def trouble_for(self, method: str, path: str) -> Trouble | None:
        with self._deciding:
            return next((one for one in self.troubles if one.strikes_now(method, path)), None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    s3: TroubledS3

    def log_message(self, *args: object) -> None:
        pass

    def do_PUT(self) -> None:
        trouble = self.s3.trouble_for(self.command, self.path)
        if trouble and trouble.answer == RESET and not trouble.stored:
            self.rfile.read(int(self.headers.get("Content-Length", "0")) // 2)
            return self._reset()
        content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if trouble is None:
            return self._answer(*self._forward(content))
        if trouble.stored:
            self._forward(content)
        if trouble.answer == RESET:
            return self._reset()
        status, code = trouble.answer.split()
        self._answer(int(status), {}, f"<Error><Code>{code}</Code></Error>".encode())

    do_GET = do_HEAD = do_DELETE = do_POST = do_PUT

    def _forward(self, content: bytes) -> tuple[int, dict[str, str], bytes]:
        there = urlsplit(self.s3.weed.endpoint_url)
        line = http.client.HTTPConnection(there.hostname or "", there.port, timeout=30)
        try:
            line.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "expect":
                    line.putheader(name, value)
            line.endheaders(content or None)
            response = line.getresponse()
            return response.status, dict(response.headers.items()), response.read()
        finally:
            line.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        """As a router that forgot us: no last word, and what was on the way is thrown away."""
        at_once = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self.close_connection = True
        self.connection.close()


@pytest.fixture
def troubled_s3(weed: Weed) -> Iterator[TroubledS3]:
    s3 = TroubledS3(weed=weed)
    handler = type("Handler", (_Handler,), {"s3": s3})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        s3.endpoint_url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield s3
        server.shutdown()
        thread.join()
