"""`reelbatch doctor`, as typed: what works, what does not, and one real video on request."""

from __future__ import annotations

import http.server
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from reelbatch.cli.ports import free_port
from tests.acceptance.conftest import World
from tests.acceptance.test_webhooks import receiver
from tests.parts.command import Finished
from tests.parts.listener import Listener
from tests.parts.waiting import wait_until
from tests.parts.weed import Weed

__all__ = ["receiver"]

NAMES = ["key", "account", "prices", "requests", "bill", "clock", "archive", "ledger", "disk"]
NAMES += ["webhook", "signatures", "prefect", "worker"]


def doctor(world: World, *arguments: str, **environment: str) -> Finished:
    done = world.command("doctor", "--json", *arguments, environment=environment)
    assert [set(check) for check in checks(done).values()] == [
        {"name", "verdict", "message", "advice"}
    ] * len(NAMES)
    return done


def checks(done: Finished) -> dict[str, dict[str, str]]:
    assert done.stdout, done.text
    return {check["name"]: check for check in done.json["checks"]}


def trouble(done: Finished) -> dict[str, str]:
    """What is neither ok nor without anything to look at."""
    found = checks(done)
    return {n: c["verdict"] for n, c in found.items() if c["verdict"] in ("bad", "warning")}


def test_all_is_well(world: World, receiver: str, weed: Weed) -> None:
    """Nothing is submitted, and nothing is left in the archive."""
    bucket = weed.new_bucket()
    done = doctor(world, f"--archive=s3://{bucket}/reels", **weed.environment)
    assert (done.code, trouble(done)) == (0, {}), done.text
    assert list(checks(done)) == NAMES
    assert checks(done)["webhook"]["message"].startswith(f"{receiver} is reached")
    assert "Prefect 3." in checks(done)["prefect"]["message"]
    assert "A run can start." in done.stderr
    assert (world.accepted, weed.keys(bucket)) == (0, [])


def test_what_a_run_can_do_without_is_a_warning(world: World) -> None:
    for fault in ("history_error", "billing_error", "pricing_error"):
        world.fal.break_(fault, with_={"status": 403})
    done = doctor(world)
    named = dict.fromkeys(("prices", "requests", "bill"), "warning")
    assert (done.code, trouble(done)) == (0, named), done.text
    assert "A run can start; 3 to know of." in done.stderr


def test_a_locked_account_shows_before_anything_is_submitted(world: World) -> None:
    world.fal.lock()
    done = doctor(world)
    assert (done.code, trouble(done), world.accepted) == (1, {"account": "bad"}, 0), done.text
    assert "Top up your balance" in done.stderr


def test_places_that_cannot_be_used_are_told_at_once(world: World, weed: Weed) -> None:
    """A bucket nobody made, another program's database, a Prefect that is down."""
    with closing(sqlite3.connect(world.ledger)) as database, database:
        database.execute("CREATE TABLE songs (title TEXT)")
    nobody = f"http://127.0.0.1:{free_port()}/api"
    arguments = ("--archive=s3://nobodys-bucket/reels",)
    done = doctor(world, *arguments, **weed.environment, PREFECT_API_URL=nobody)
    named = dict.fromkeys(("archive", "ledger", "prefect"), "bad")
    assert (done.code, trouble(done)) == (1, named), done.text
    assert "3 to be put right before a run." in done.stderr


def test_settings_that_cannot_be_used_are_refused(world: World) -> None:
    done = world.command("doctor", environment={"REELBATCH_WEBHOOK_URL": "http://example.com"})
    assert (done.code, "REELBATCH_WEBHOOK_URL" in done.stderr) == (2, True), done.text


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    """A proxy that answers in our receiver's place."""

    answer: tuple[int, Mapping[str, str], bytes]

    def log_message(self, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, headers, body = self.answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def answering(status: int, body: bytes = b"", **headers: str) -> Iterator[str]:
    handler = type("Handler", (_Elsewhere,), {"answer": (status, headers, body)})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "headers", "words"),
    [
        (308, b"", {"Location": "https://a.example/"}, "fal follows no redirect"),
        (401, b"Log in", {"WWW-Authenticate": "Basic"}, "without a login"),
        (502, b"<html>nginx</html>", {}, "no receiver behind it (502)"),
        (404, b"", {}, "answered by something else (404)"),
        (200, b"{}", {}, "answered by something else (200)"),
    ],
)
def test_whoever_answers_for_the_receiver_is_told(
    world: World, status: int, body: bytes, headers: dict[str, str], words: str
) -> None:
    with answering(status, body, **headers) as url:
        done = doctor(world, REELBATCH_WEBHOOK_URL=url)
    assert (done.code, trouble(done)) == (1, {"webhook": "bad"}), done.text
    assert words in checks(done)["webhook"]["message"]


def test_a_public_address_that_is_private_or_nobodys_is_told(world: World) -> None:
    """Even where fal is an emulator: nothing but this machine is called by it."""
    private = doctor(world, REELBATCH_WEBHOOK_URL="https://10.1.2.3/hooks")
    assert trouble(private) == {"webhook": "bad"}
    assert "10.1.2.3, which is not public: fal drops such" in checks(private)["webhook"]["message"]
    nobody = f"http://127.0.0.1:{free_port()}"
    done = doctor(world, REELBATCH_WEBHOOK_URL=nobody)
    assert trouble(done) == {"webhook": "bad"}
    assert "does not answer" in checks(done)["webhook"]["message"]


def test_no_secret_is_shown(world: World, listener: Listener) -> None:
    """A key, a login and a password, each where something goes wrong."""
    hush = {
        "FAL_KEY": "hush-id:hush-fal-0123456789",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "hush-aws-0123456789",
        "AWS_ENDPOINT_URL_S3": listener.url,
        "REELBATCH_LEDGER": "postgresql://me:hush-password-0123456789@127.0.0.1:1/none",
        "REELBATCH_ARCHIVE": "s3://bucket/reels",
        "PREFECT_API_URL": "http://me:hush-prefect-0123456789@127.0.0.1:1/api",
        "PREFECT_API_KEY": "hush-prefect-0123456789",
        "REELBATCH_WEBHOOK_URL": "https://me:hush-hook-0123456789@127.0.0.1:1/hooks",
    }
    world.fal.break_("history_error", with_={"status": 403})
    done = doctor(world, **hush)
    assert done.code == 1
    assert "hush-" not in done.text


# The canary.


def canary(world: World, *arguments: str, **environment: str) -> Finished:
    return world.command("doctor", "--canary", "--json", *arguments, environment=environment)


def record(world: World) -> Any:
    return json.loads(kept(world).read_text())


def kept(world: World) -> Path:
    return world.command.home / ".reelbatch" / "canary.json"


def test_without_a_yes_no_canary_is_sent(world: World) -> None:
    done = canary(world)
    assert (done.code, world.accepted, kept(world).exists()) == (2, 0, False), done.text
    assert "--yes" in done.stderr


def test_where_something_is_bad_no_canary_is_sent(world: World) -> None:
    world.fal.lock()
    done = canary(world, "--yes")
    assert (done.code, world.accepted, kept(world).exists()) == (1, 0, False), done.text


def test_a_canary_writes_down_what_no_document_says(world: World) -> None:
    """One submission, followed in every way; its video is kept."""
    world.fal.break_("record_defaults")
    port = free_port()
    hook = {"REELBATCH_WEBHOOK_URL": f"http://127.0.0.1:{port}"}
    hook |= {"REELBATCH_WEBHOOK_PORT": str(port), "REELBATCH_WEBHOOK_JWKS_URL": world.fal.jwks_url}
    done = canary(world, "--yes", **hook)
    assert (done.code, world.accepted) == (0, 1), done.text
    (sent,) = world.fal.submissions()
    found = record(world)
    assert found == done.json["canary"]
    assert (found["request_id"], found["arguments"]) == (sent["request_id"], sent["body"])
    assert sent["tags"] == {"reelbatch": found["token"]}
    assert found["submit"]["http_status"] == 200
    assert {"request_id", "status_url", "response_url", "cancel_url"} <= set(
        found["submit"]["keys"]
    )
    assert found["statuses"][-1]["status"] == "completed"
    assert found["statuses"][-1]["http_status"] == 200
    assert found["stream"]["events"][-1]["status"] == "completed"
    assert (found["list"]["while_queued"], found["list"]["input_as_sent"]) == (False, True)
    assert "num_inference_steps" in found["list"]["defaults_shown"]
    assert found["result"]["headers"]["x-fal-billable-units"] == "1"
    assert (found["media"]["video_codec"], found["media"]["audio"]["codec"]) == ("h264", "aac")
    assert found["media"]["size_as_announced"] is True
    assert (found["bill"]["usd"], found["bill"]["tags_reported"]) == ("0.2", False)
    assert [one["verified"] for one in found["webhook"]["deliveries"]] == [True, True]
    assert found["webhook"]["signed_anew"] is True
    assert kept(world).with_suffix(".mp4").read_bytes()[4:8] == b"ftyp"
    assert "HTTP code of a submission          200" in done.stderr


def test_what_a_canary_cannot_see_is_noted_with_the_reason(world: World) -> None:
    world.fal.break_("history_error", with_={"status": 403})
    world.fal.break_("billing_error", with_={"status": 403})
    world.fal.break_("stream_error")
    world.fal.break_("model_refusal", with_={"type": "content_policy_violation"})
    done = canary(world, "--yes")
    found = record(world)
    assert (done.code, world.accepted) == (0, 1), done.text
    assert "fal refused" in found["list"]["reason"]
    assert "fal refused" in found["bill"]["reason"]
    assert found["stream"]["http_status"] == 500
    assert (found["result"]["http_status"], found["result"]["error"]) == (
        422,
        "content_policy_violation",
    )
    assert found["webhook"]["reason"] == "REELBATCH_WEBHOOK_URL is not set"


def test_a_canary_that_was_interrupted_is_carried_on_and_not_paid_again(world: World) -> None:
    world.fal.set(service_seconds=30.0)
    running = world.command.start("doctor", "--canary", "--yes")
    wait_until(
        lambda: kept(world).exists() and "request_id" in record(world),
        description="its request is noted",
        timeout_seconds=60,
    )
    running.kill()
    world.fal.set(service_seconds=0.2)
    world.fal.forget()
    gone = canary(world)
    assert (gone.code, world.accepted) == (0, 0), gone.text
    assert record(world)["result"]["error"] == "gone"


def test_a_canary_without_an_answer_is_looked_for_before_another_is_paid(world: World) -> None:
    world.fal.break_("accept_then_drop", times=1)
    lost = canary(world, "--yes")
    assert (lost.code, world.accepted) == (1, 1), lost.text
    assert "may be paid" in lost.stderr
    found = canary(world)
    assert (found.code, world.accepted) == (0, 1), found.text
    assert "it is paid" in found.stderr
    assert record(world)["media"]["video_codec"] == "h264"


def test_a_canary_that_never_arrived_is_told_and_asked_for_anew(world: World) -> None:
    world.fal.break_("drop_before_accept", times=1)
    assert canary(world, "--yes").code == 1
    asked = canary(world)
    assert (asked.code, world.accepted) == (2, 0), asked.text
    assert "had no answer and may be paid" in asked.stderr
