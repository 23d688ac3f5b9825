"""Downloads follow rules on where, how much and how whole, and carry nothing of ours."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from reelbatch.errors import Permanent, Transient
from reelbatch.media.download import Downloader
from reelbatch.media.fetch import Fetcher
from reelbatch.media.places import Places
from reelbatch.urls import without_login, without_query

MB = 1024 * 1024
CONTENT = bytes(range(256)) * 4096


class MediaHost(ThreadingHTTPServer):
    """Answers each path with a status, headers and a body; remembers who asked for what."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.flows_on = threading.Event()
        """Until then the path /drips gives no more than its first bytes."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A downloader that hangs up is what some of these tests are about."""

    def answer(self, path: str, status: int = 200, body: bytes = b"", **headers: str) -> str:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        length = {} if "Transfer-Encoding" in named else {"Content-Length": str(len(body))}
        self.answers[path] = (status, length | named, body)
        return self.url + path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: MediaHost

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers.items())))
        status, headers, body = self.server.answers[self.path]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/drips":
            self.server.flows_on.wait(60)
        self.close_connection = int(headers.get("Content-Length", 0)) > len(body)


@pytest.fixture
def host() -> Iterator[MediaHost]:
    with MediaHost() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def downloader() -> Downloader:
    return _with(allow_loopback=True)


def _with(**rules: Any) -> Downloader:
    return Downloader(partial(Fetcher, **rules))


def _refusal(get: Callable[[], object]) -> Permanent:
    with pytest.raises(Permanent) as caught:
        get()
    return caught.value


def test_a_file_comes_whole_with_its_type_and_hash(host: MediaHost, downloader: Downloader) -> None:
    url = host.answer("/x.mp4", body=CONTENT, Content_Type="Video/MP4; codecs=avc1")
    got = downloader.get(url, cap_bytes=2 * MB)
    assert got.content == CONTENT
    assert got.content_type == "video/mp4"
    assert got.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_nothing_of_ours_is_sent_along(
    host: MediaHost, downloader: Downloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAL_KEY", "key-id:key-secret")
    downloader.get(host.answer("/x", body=b"x"), cap_bytes=MB)
    ((_, headers),) = host.asked
    assert set(headers) == {"Host", "User-Agent", "Accept", "Accept-Encoding"}


def test_many_threads_may_share_it(host: MediaHost, downloader: Downloader) -> None:
    urls = [host.answer(f"/{n}", body=str(n).encode() * 1000) for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda url: downloader.get(url, cap_bytes=MB).content, urls))
    assert got == [str(n).encode() * 1000 for n in range(40)]


def test_a_file_cut_short_is_transient(host: MediaHost, downloader: Downloader) -> None:
    """fal.media has sent files without their last kilobyte."""
    url = host.answer("/x.mp4", body=CONTENT, Content_Length=str(len(CONTENT) + 1024))
    with pytest.raises(Transient, match="was not received whole"):
        downloader.get(url, cap_bytes=2 * MB)


def test_too_large_a_file_is_refused_by_its_length(host: MediaHost, downloader: Downloader) -> None:
    url = host.answer("/x.png", body=CONTENT)
    error = _refusal(lambda: downloader.get(url, cap_bytes=len(CONTENT) - 1))
    assert error.error == "too_large"


def test_too_large_a_file_without_a_length_is_stopped_on_the_way(
    host: MediaHost, downloader: Downloader
) -> None:
    chunk = b"100000\r\n" + bytes(MB) + b"\r\n"
    url = host.answer("/x.png", body=chunk * 5, Transfer_Encoding="chunked")
    error = _refusal(lambda: downloader.get(url, cap_bytes=2 * MB))
    assert error.error == "too_large"
    assert "larger than 2 MB" in error.message


def test_a_server_that_drips_for_ever_is_left(host: MediaHost) -> None:
    downloader = _with(allow_loopback=True, total_seconds=0.3)
    url = host.answer("/drips", body=b"x", Content_Length="2")
    with pytest.raises(Transient, match=r"took more than 0\.3 s"):
        downloader.get(url, cap_bytes=MB)
    host.flows_on.set()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((404, "not_found"), (410, "not_found"), (401, "download_refused")),
        *((403, "download_refused"), (400, "download_refused"), (204, "download_refused")),
    ],
)
def test_an_answer_that_stays_so_is_permanent(
    host: MediaHost, downloader: Downloader, status: int, error: str
) -> None:
    url = host.answer("/x.png", status)
    assert _refusal(lambda: downloader.get(url, cap_bytes=MB)).error == error


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_an_answer_that_may_change_is_transient(
    host: MediaHost, downloader: Downloader, status: int
) -> None:
    url = host.answer("/x.png", status, Retry_After="7")
    with pytest.raises(Transient) as caught:
        downloader.get(url, cap_bytes=MB)
    assert caught.value.retry_after == 7


def test_a_server_that_is_not_there_is_transient(downloader: Downloader) -> None:
    with pytest.raises(Transient, match=r"127\.0\.0\.1 cannot be reached"):
        downloader.get("http://127.0.0.1:1/x", cap_bytes=MB)


def test_a_compressed_answer_is_refused(host: MediaHost, downloader: Downloader) -> None:
    """We asked for plain bytes; a small gzip can unpack to any size."""
    url = host.answer("/x", body=b"\x1f\x8b", Content_Encoding="gzip")
    assert "compressed" in _refusal(lambda: downloader.get(url, cap_bytes=MB)).message


def test_redirects_are_followed_five_times(host: MediaHost, downloader: Downloader) -> None:
    for n in range(6):
        host.answer(f"/{n}", 302, Location=f"{n + 1}")
    host.answer("/6", body=b"here")
    assert downloader.get(f"{host.url}/1", cap_bytes=MB).content == b"here"
    error = _refusal(lambda: downloader.get(f"{host.url}/0", cap_bytes=MB))
    assert "redirects more than 5 times" in error.message


def test_a_redirect_must_lead_where_we_may_go(host: MediaHost) -> None:
    inside = host.answer("/metadata", body=b"secret")
    host.answer("/x.png", 302, Location=inside)
    downloader = _with(hosts=("*.fal.media",), rewrite={"*.fal.media": host.url})
    error = _refusal(lambda: downloader.get("https://v3.fal.media/x.png", cap_bytes=MB))
    assert "127.0.0.1 is not a host we download from" in error.message
    assert [path for path, _ in host.asked] == ["/x.png"]


@pytest.mark.parametrize("name", ["localhost", "ip6-localhost", "localhost."])
def test_a_real_name_that_leads_inside_is_refused(name: str) -> None:
    """Judged by the address it resolves to, with the machine's own resolver."""
    try:
        socket.getaddrinfo(name, 443)
    except OSError:
        pytest.skip(f"this machine does not know {name}")
    error = _refusal(lambda: Downloader().get(f"https://{name}/x.png", cap_bytes=MB))
    assert "not public" in error.message


def test_every_hop_is_judged_by_its_address(host: MediaHost) -> None:
    """Public hosts are allowed; the second hop has a public name and a private address."""
    inside = {"media.example": ("10.0.0.1",)}
    downloader = _with(
        rewrite={"*.fal.media": host.url}, resolve=lambda name, port: inside.get(name, (name,))
    )
    host.answer("/x.png", 302, Location="https://media.example/metadata")
    error = _refusal(lambda: downloader.get("https://v3.fal.media/x.png", cap_bytes=MB))
    assert "not public" in error.message
    assert [path for path, _ in host.asked] == ["/x.png"]


def test_a_redirect_from_https_to_http_is_refused(host: MediaHost) -> None:
    host.answer("/x.png", 302, Location="http://media.example/x.png")
    downloader = _with(rewrite={"*.fal.media": host.url})
    error = _refusal(lambda: downloader.get("https://v3.fal.media/x.png", cap_bytes=MB))
    assert "only https" in error.message


def test_fals_media_hosts_can_be_an_emulator(host: MediaHost) -> None:
    """The path and the query stay; only the host is another."""
    host.answer("/cdn/files/b/x.mp4?sig=1", body=b"video")
    rewrite = {"*.fal.media": f"{host.url}/cdn"}
    downloader = _with(hosts=("*.fal.media",), rewrite=rewrite)
    got = downloader.get("https://v3b.fal.media/files/b/x.mp4?sig=1", cap_bytes=MB)
    assert got.content == b"video"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://v3.fal.media/x", "only https"),
        ("ftp://v3.fal.media/x", "only https"),
        ("file:///etc/passwd", "only https"),
        ("x.png", "only https"),
        ("https:///x", "only https"),
        ("https://v3.fal.media:99999/x", "not a web address"),
        ("https://[::1/x", "not a web address"),
        ("https://user:hunter2@v3.fal.media/x", "never send credentials"),
        ("https://fal.media.evil.example/x", "not a host we download from"),
        ("https://evilfal.media/x", "not a host we download from"),
    ],
)
def test_an_address_outside_the_rules_is_not_asked(url: str, reason: str) -> None:
    downloader = _with(hosts=("*.fal.media",), resolve=lambda host, port: ("8.8.8.8",))
    error = _refusal(lambda: downloader.get(url, cap_bytes=MB))
    assert error.error == "download_refused"
    assert reason in error.message
    assert "hunter2" not in error.message


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1"),
        *("::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::"),
    ],
)
def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    """A manifest from a stranger must not read the network's own services."""
    downloader = _with(resolve=lambda host, port: (address,))
    error = _refusal(lambda: downloader.get("https://images.example/x.png", cap_bytes=MB))
    assert "not public" in error.message


def test_allowing_loopback_allows_no_other_inside_address() -> None:
    downloader = _with(allow_loopback=True, resolve=lambda host, port: ("10.0.0.1",))
    for url in ("http://images.example/x.png", "https://images.example/x.png"):
        assert "not public" in _refusal(lambda url=url: downloader.get(url, cap_bytes=MB)).message  # type: ignore[misc]


def test_an_unknown_name_is_transient() -> None:
    def nowhere(host: str, port: int) -> tuple[str, ...]:
        raise OSError("no such name")

    with pytest.raises(Transient, match=r"images\.example was not found by name"):
        _with(resolve=nowhere).get("https://images.example/x.png", cap_bytes=MB)


def test_hosts_are_matched_without_case_and_trailing_dot() -> None:
    places = Places(hosts=("*.fal.media",), allow_loopback=False, rewrite={})
    assert places.target("https://V3.FAL.Media./x").host == "v3.fal.media"


@pytest.fixture
def secure_host(host: MediaHost, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MediaHost:
    """The same server behind TLS, with a certificate for media.example that we trust."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("media.example").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    host.socket = context.wrap_socket(host.socket, server_side=True)
    return host


def test_the_checked_address_is_the_one_connected_to(secure_host: MediaHost) -> None:
    """A name that answers differently a moment later gains nothing; Host and TLS stay its own."""
    asked: list[str] = []

    def resolve(host: str, port: int) -> tuple[str, ...]:
        asked.append(host)
        return ("127.0.0.1",) if len(asked) == 1 else ("127.0.0.9",)

    secure_host.answer("/x.png", body=b"image")
    downloader = _with(allow_loopback=True, resolve=resolve)
    url = f"https://media.example:{secure_host.server_port}/x.png"
    assert downloader.get(url, cap_bytes=MB).content == b"image"
    assert asked == ["media.example"]
    assert secure_host.asked[0][1]["Host"] == f"media.example:{secure_host.server_port}"


def test_a_certificate_for_another_name_is_not_trusted(secure_host: MediaHost) -> None:
    downloader = _with(allow_loopback=True, resolve=lambda host, port: ("127.0.0.1",))
    with pytest.raises(Transient, match="no certificate we trust"):
        downloader.get(f"https://other.example:{secure_host.server_port}/x", cap_bytes=MB)


def test_the_next_address_is_tried_where_one_cannot_be_reached(host: MediaHost) -> None:
    addresses = ("::1", "127.0.0.1")
    downloader = _with(allow_loopback=True, resolve=lambda host, port: addresses)
    host.answer("/x", body=b"x")
    url = f"http://media.example:{host.server_port}/x"
    assert downloader.get(url, cap_bytes=MB).content == b"x"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://s3.example/x.png?X-Amz-Signature=abc", "https://s3.example/x.png"),
        ("https://user:word@s3.example/x.png#part", "https://s3.example/x.png"),
        ("https://s3.example?token=a/b@c", "https://s3.example"),
        ("data:image/png;base64,iVBORw0KGgo=", "data:image/png;base64"),
        ("images/cat #1?.png", "images/cat #1?.png"),
        ("s3://bucket/cat?.png", "s3://bucket/cat?.png"),
    ],
)
def test_a_shown_address_has_no_secret(url: str, shown: str) -> None:
    assert without_query(url) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:hunter2@host/ledger", "postgresql://...@host/ledger"),
        ("postgresql:me:hunter2@host/ledger?password=hunter2", "postgresql://...@host/ledger"),
        ("postgresql://host/ledger?password=hunter2", "postgresql://host/ledger"),
        ("sqlite:////home/me/ledger.db", "sqlite:////home/me/ledger.db"),
    ],
)
def test_a_shown_database_has_no_password(url: str, shown: str) -> None:
    assert without_login(url) == shown


def test_a_message_names_the_address_without_its_query(
    host: MediaHost, downloader: Downloader
) -> None:
    url = host.answer("/x.png?X-Amz-Signature=secret", 503)
    with pytest.raises(Transient) as caught:
        downloader.get(url, cap_bytes=MB)
    assert "/x.png answered 503" in str(caught.value)
    assert "secret" not in str(caught.value)
