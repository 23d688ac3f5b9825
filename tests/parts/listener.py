"""Somebody else's server: it writes down what it is sent, a key or a message."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Listener:
    """`heard` has one text a request: its line, its headers and its body."""

    url: str = ""
    heard: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    listener: Listener

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.listener.heard.append(f"{self.requestline}\n{self.headers}\n{body!r}")
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"{}")

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


@contextmanager
def listening() -> Iterator[Listener]:
    heard = Listener()
    handler = type("Handler", (_Handler,), {"listener": heard})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        heard.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield heard
        server.shutdown()
        thread.join()
