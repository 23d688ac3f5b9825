"""Several receivers over one ledger, as behind a balancer, and how one of them ends."""

from __future__ import annotations

import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.acceptance.conftest import World, cats
from tests.acceptance.test_webhooks import serve
from tests.parts.book import Book
from tests.parts.command import Running
from tests.parts.waiting import wait_until

ROWS = 12
OTHER_WORDS = ("host", "content-length", "connection", "accept-encoding")


class Everywhere(BaseHTTPRequestHandler):
    """Passes a call on to every receiver at the same time; the worst answer is the answer."""

    receivers: tuple[str, ...]

    def log_message(self, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = [(k, v) for k, v in self.headers.items() if k.lower() not in OTHER_WORDS]
        pass_on = partial(httpx.post, content=body, headers=headers, timeout=30, trust_env=False)
        with ThreadPoolExecutor() as at_once:
            urls = [f"{receiver}{self.path}" for receiver in self.receivers]
            answers = list(at_once.map(pass_on, urls))
        self.send_response(max(answer.status_code for answer in answers))
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def everywhere(*receivers: str) -> Iterator[str]:
    handler = type("Handler", (Everywhere,), {"receivers": receivers})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def receivers(shared: World) -> list[tuple[str, Running]]:
    """Two, each on a port of its own."""
    shared.command.environment["REELBATCH_WEBHOOK_JWKS_URL"] = shared.fal.jwks_url
    return [serve(shared), serve(shared)]


def test_what_two_receivers_hear_at_once_is_booked_once(
    shared: World, receivers: list[tuple[str, Running]]
) -> None:
    shared.write("cats.csv", cats(ROWS))
    urls = [url for url, _ in receivers]
    with everywhere(*urls) as balancer:
        shared.command.environment["REELBATCH_WEBHOOK_URL"] = balancer
        done = shared.run("cats.csv", "--collect=webhook", "--max-in-flight=4")
        assert (done.code, done.json["archived"], shared.accepted) == (0, ROWS, ROWS), done.text
        assert done.json["spent_usd"] == "2.40"
        for url in urls:
            until_heard(url, ROWS)


def until_heard(url: str, calls: int) -> None:
    """The run may end before the second receiver has answered its last call."""
    wait_until(
        lambda: answered_well(url) >= calls,
        description=f"{url} has heard {calls} calls",
        timeout_seconds=60,
    )


def answered_well(url: str) -> float:
    figures = httpx.get(f"{url}/metrics", trust_env=False).text
    found = re.search(r'^reelbatch_webhooks_total\{status="200"\} (.+)$', figures, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_receiver_that_is_told_to_end_finishes_what_it_has_answered(
    shared: World, receivers: list[tuple[str, Running]]
) -> None:
    """The call says only that it failed; why, and what it cost, is still being asked for."""
    (url, receiver), _ = receivers
    shared.command.environment["REELBATCH_WEBHOOK_URL"] = url
    shared.fal.set(concurrency=0)
    shared.fal.break_("model_refusal")
    shared.fal.break_("result_flake")
    shared.write("cats.csv", cats(1))
    buyer = shared.start("cats.csv", "--collect=webhook")
    with closing(Book(shared.ledger_url)) as book:
        at_fal = partial(stands, book, submitted=1)
        wait_until(at_fal, description="it is at fal", timeout_seconds=60)
        buyer.kill()
        shared.fal.set(concurrency=8)
        asked = "the receiver asks for the result"
        wait_until(lambda: shared.fal.state()["calls"].get("result"), description=asked)
        receiver.process.send_signal(signal.SIGTERM)
        wait_until(lambda: deaf(url), description="nobody listens any more")
        assert receiver.process.poll() is None
        shared.fal.mend()
        assert receiver.finish(timeout_seconds=30).code == 0
        assert book.states() == Counter(failed=1)


def stands(book: Book, **states: int) -> bool:
    return book.states() == Counter(states)


def deaf(url: str) -> bool:
    try:
        httpx.get(f"{url}/healthz", trust_env=False)
    except httpx.ConnectError:
        return True
    return False
