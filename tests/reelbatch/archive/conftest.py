"""A small S3 that goes wrong on demand: answers get lost, permissions are missing."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from reelbatch.archive.contract import Archive
from reelbatch.archive.open import open_archive


@dataclass(kw_only=True)
class FaultyS3:
    """`faults` are used up by puts, one each; `forbidden` are methods that answer 403."""

    endpoint_url: str = ""
    faults: list[str] = field(default_factory=list)
    forbidden: set[str] = field(default_factory=set)
    may_list: bool = True
    cut_short: bool = False
    """What is read breaks off before its announced end."""
    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    puts: list[dict[str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    s3: FaultyS3

    def log_message(self, *args: object) -> None:
        pass

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.s3.puts.append({name.lower(): value for name, value in self.headers.items()})
        fault = self.s3.faults.pop(0) if self.s3.faults else ""
        if "PUT" in self.s3.forbidden:
            return self._answer(403, "AccessDenied")
        if fault.endswith("before storing"):
            return self._go_wrong(fault)
        if self.headers["If-None-Match"] and self.path in self.s3.objects:
            return self._answer(412, "PreconditionFailed")
        checksum = self.headers["x-amz-checksum-sha256"]
        self.s3.objects[self.path] = (content, checksum)
        return self._go_wrong(fault) if fault else self._answer(200)

    def do_GET(self) -> None:
        found = self.s3.objects.get(self.path)
        if self.command in self.s3.forbidden or (found is None and not self.s3.may_list):
            return self._answer(403, "AccessDenied")
        if found is None:
            return self._answer(404, "NoSuchKey")
        content, checksum = found
        return self._answer(200, content=content, headers={"x-amz-checksum-sha256": checksum})

    do_HEAD = do_GET

    def _go_wrong(self, fault: str) -> None:
        if fault.startswith("reset"):
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            self.connection.close()
            return
        status, code, *_ = fault.split()
        self._answer(int(status), code)

    def _answer(
        self,
        status: int,
        code: str = "",
        *,
        content: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> None:
        body = content or (f"<Error><Code>{code}</Code></Error>".encode() if code else b"")
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.close_connection = self.s3.cut_short
        self.wfile.write(body[: len(body) // 2] if self.s3.cut_short else body)


@pytest.fixture
def faulty_s3() -> Iterator[FaultyS3]:
    s3 = FaultyS3()
    handler = type("Handler", (_Handler,), {"s3": s3})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        s3.endpoint_url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield s3
        server.shutdown()
        thread.join()


@pytest.fixture
def archive(faulty_s3: FaultyS3, monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", faulty_s3.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-nobody-may-read")
    return open_archive("s3://reels/spring")
