"""After every failure we can think of, no secret lies where somebody else may read it."""

from __future__ import annotations

import io
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pyarrow.parquet
import pytest

from reelbatch.cli.prefect_server import OwnServer
from tests.acceptance.conftest import World, cats
from tests.acceptance.test_receivers import answered_well
from tests.acceptance.test_webhooks import serve
from tests.parts.command import Finished
from tests.parts.listener import Listener
from tests.parts.log import log_lines
from tests.parts.s3_trouble import TroubledS3
from tests.parts.waiting import wait_until

pytestmark = pytest.mark.slow

FAL = "hush-fal-0123456789abcdef"
AWS = "hush-aws-0123456789abcdef"
SIGNATURE = "hush-signature-0123456789"
PASSWORD = "hush-password-0123456789"
SIGNED = f"X-Amz-Signature={SIGNATURE}"
FALSE_START = "no more attempts, says the database"

Traces = Iterator[tuple[str, bytes]]
"""Where something was found, and what."""


class Told:
    """Commands, and all that is left behind by them."""

    def __init__(self, world: World, s3: TroubledS3, prefect: OwnServer) -> None:
        self.world = world
        self.s3 = s3
        self.prefect = prefect.home.path
        self.bucket = s3.weed.new_bucket()
        self.children = (prefect.child, world.fal.running.child)
        self.said: list[Finished] = []
        world.command.environment |= {**s3.environment, "FAL_KEY": f"hush-id:{FAL}"}
        world.command.environment["REELBATCH_LOG_LEVEL"] = "debug"

    def run(self, manifest: str, *arguments: str, code: int, **environment: str) -> Finished:
        archive = f"--archive=s3://{self.bucket}/reels"
        done = self.world.run(manifest, archive, *arguments, environment=environment)
        assert done.code == code, done.text
        self.said.append(done)
        return done

    def look(self, *arguments: str) -> None:
        self.said.append(self.world.command(*arguments))

    def interrupt(self, manifest: str) -> None:
        accepted = self.world.accepted
        running = self.world.start(manifest, f"--archive=s3://{self.bucket}/reels")
        wait_until(lambda: self.world.accepted > accepted, description="one is accepted")
        running.interrupt()
        self.said.append(running.finish())
        assert self.said[-1].code == 4, self.said[-1].text

    def everything(self) -> Traces:
        """All of it but the manifests, whose links are the user's own."""
        for n, done in enumerate(self.said):
            yield f"command {n}", done.text.encode()
        yield from self.bucketed()
        for folder in (self.world.folder.parent, self.prefect):
            yield from files(folder)
        for child in self.children:
            yield "a child", f"{child.said()}{child.last_words()}".encode()

    def bucketed(self) -> Traces:
        for key in self.s3.weed.keys(self.bucket):
            content = self.s3.weed.read(self.bucket, key)
            if key.endswith(".parquet"):
                rows = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
                content = repr(rows).encode()
            if "/manifests/" not in key:
                yield key, content

    @property
    def log(self) -> str:
        """Of all commands: one object a line, which `everything` has as well."""
        return "\n".join(line["message"] for done in self.said for line in log_lines(done.stderr))

    @property
    def tokens(self) -> list[str]:
        """Of the attempts: who knows one may call our receiver."""
        if not self.world.ledger.exists():
            return []
        with closing(sqlite3.connect(self.world.ledger)) as ledger:
            return [token for (token,) in ledger.execute("SELECT token FROM attempts")]

    def recorded(self, words: str) -> bool:
        """Whether Prefect has written this down."""
        return any(words.encode() in content for _, content in files(self.prefect))


def files(folder: Path) -> Traces:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".csv":
            with suppress(FileNotFoundError):  # Prefect's server is at work on its own.
                yield str(path), path.read_bytes()


@pytest.fixture
def told(world: World, troubled_s3: TroubledS3, prefect_server: OwnServer) -> Told:
    return Told(world, troubled_s3, prefect_server)


def leaks(told: Told) -> list[tuple[str, str]]:
    """Every secret that was found, and where; the ledger alone has signed links and tokens."""
    ledger, tokens = str(told.world.ledger), told.tokens
    everywhere = (FAL, AWS, PASSWORD, told.s3.weed.secret_key)
    return [
        (place, secret)
        for place, content in told.everything()
        for secret in (*everywhere, *(() if place.startswith(ledger) else (SIGNATURE, *tokens)))
        if secret.encode() in content
    ]


def test_a_refusal_at_the_start_leaves_no_secret(told: Told) -> None:
    """A wrong key, wrong AWS credentials, logins in links, a ledger that does not answer."""
    told.world.write("rows.csv", cats(1))
    told.run("rows.csv", code=2, FAL_KEY=FAL)
    told.run("rows.csv", code=2, AWS_SECRET_ACCESS_KEY=AWS)
    login = f"https://me:{PASSWORD}@127.0.0.1:1/cat.png?{SIGNED}"
    told.world.write("login.csv", f"prompt,image\nA cat,{login}\n")
    told.run("login.csv", "--no-fetch", code=2)
    told.run(login.replace("png", "csv"), code=2)
    told.run("rows.csv", code=2, REELBATCH_LEDGER=f"postgresql://me:{PASSWORD}@127.0.0.1:1/none")
    assert leaks(told) == []


def test_rows_that_go_wrong_leave_no_secret(told: Told, listener: Listener) -> None:
    """Errors that repeat the key, redirects, other hosts; an archive that doubts who we are."""
    gone_wrong(told, listener)
    told.look("status", "rows")
    told.look("status", "rows", "--json")
    for n in (1, 2, 7, 9):
        told.look("show", "rows", f"cat-{n}", "--json")
    assert leaks(told) == []
    assert not any(secret in heard for heard in listener.heard for secret in (FAL, "hush-id"))

    assert told.recorded("rows: 9 rows"), "we looked where Prefect writes"
    assert told.recorded("row cat-9 take 1: failed with file_download_error")
    assert "failed with file_download_error: " in told.log
    assert "https://images.example/cat.png" in told.log
    assert "row cat-3 take 1: archived" in told.log
    found = {Path(place).name: content for place, content in told.bucketed()}
    assert b"images.example/cat.png" in found["index.parquet"]
    assert b"images.example/cat.png" in found["index.csv"]
    assert "take-1.json" in found
    assert SIGNATURE.encode() in told.world.ledger.read_bytes()


def gone_wrong(told: Told, listener: Listener) -> None:
    fal, metadata = told.world.fal, f"https://169.254.169.254/x.mp4?{SIGNED}"
    quoted = f"Failed to load https://images.example/cat.png?{SIGNED}"
    for n, fault, rule in (
        (1, "headers_repeated", {"with_": {"status": 422}}),
        (2, "headers_repeated", {"with_": {"status": 500, "accepted": True}}),
        (3, "stream_headers_repeated", {"times": 3}),
        (3, "status_headers_repeated", {"times": 1}),
        (3, "result_headers_repeated", {"times": 1, "with_": {"status": 500}}),
        (4, "answer_names_another_host", {"with_": {"url": listener.url}}),
        (5, "media_redirected", {"times": 1, "with_": {"location": metadata}}),
        (6, "redirected", {"with_": {"location": listener.url}}),
        (7, "garbled_answer", {}),
        (9, "model_refusal", {"with_": {"type": "file_download_error", "message": quoted}}),
    ):
        fal.break_(fault, prompt=f"A cat {n}", **rule)
    told.s3.break_("403 SignatureDoesNotMatch", of="cat-8/", times=1)
    signed = f"https://images.example/cat.png?{SIGNED}"
    rows = cats(8).replace("\n", ",\n").replace("seed,", "seed,image")
    told.world.write("rows.csv", f"{rows}cat-9,A cat 9,9,{signed}\n")
    done = told.run("rows.csv", "--no-fetch", code=3)
    struck = [rule["fault"] for rule in fal.state()["faults"] if not rule["strikes"]]
    assert struck == [], done.text
    assert done.json["archived"] >= 4
    assert {row["row_id"] for row in done.json["failures"]} == {"cat-1", "cat-6", "cat-9"}


def test_what_comes_by_webhook_leaves_no_secret(told: Told) -> None:
    """Good calls, one that nobody signed, and one for another ledger's request."""
    environment = told.world.command.environment
    environment["REELBATCH_WEBHOOK_JWKS_URL"] = told.world.fal.jwks_url
    url, receiver = serve(told.world)
    environment["REELBATCH_WEBHOOK_URL"] = url
    told.world.write("rows.csv", cats(2))
    told.run("rows.csv", "--collect=webhook", code=0)
    assert len(told.tokens) == 2
    for token in told.tokens:
        assert httpx.post(f"{url}/webhooks/fal/{token}?{SIGNED}", content=b"{}").status_code == 401
    address = {"fal_webhook": f"{url}/webhooks/fal/{PASSWORD}"}
    body, key = {"prompt": "A dog of theirs"}, {"Authorization": f"Key hush-id:{FAL}"}
    queue = f"{told.world.fal.queue_url}/fal-ai/ovi"
    httpx.post(queue, params=address, json=body, headers=key).raise_for_status()
    wait_until(lambda: answered_well(url) == 3, description="fal has called")
    told.look("reconcile", "rows")
    receiver.process.send_signal(signal.SIGTERM)
    told.said.append(receiver.finish())
    assert leaks(told) == []
    assert "a call was refused: " in told.log
    assert "which this ledger never sent" in told.log
    assert "fal has ended request" in told.log


def test_a_stop_and_a_crash_leave_no_secret(told: Told) -> None:
    """A locked account, a Ctrl-C, and a database error with its whole traceback."""
    fal, write = told.world.fal, told.world.write
    httpx.put(f"{fal.cdn_url}/files/b/dogs.csv", content=b"prompt\nA dog\n").raise_for_status()
    fal.lock()
    told.run(f"https://v3.fal.media/files/b/dogs.csv?{SIGNED}", code=4)
    fal.unlock()
    fal.set(service_seconds=5.0)
    write("mice.csv", "prompt\nA mouse\n")
    told.interrupt("mice.csv")
    with closing(sqlite3.connect(told.world.ledger)) as ledger, ledger:
        trigger = "CREATE TRIGGER broken BEFORE INSERT ON attempts"
        ledger.execute(f"{trigger} BEGIN SELECT RAISE(ABORT, '{FALSE_START}'); END")
    signed = f"https://images.example/dog.png?{SIGNED}"
    write("broken.csv", f"prompt,image\nA dog,{signed}\n")
    crashed = told.run("broken.csv", "--no-fetch", code=1)
    assert FALSE_START in crashed.stderr
    wait_until(lambda: told.recorded(FALSE_START), description="Prefect has the traceback")
    assert told.recorded("v3.fal.media/files/b/dogs.csv")
    assert leaks(told) == []
