"""Collect by webhook: `reelbatch serve` beside a run, as two programs over one ledger."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import httpx
import pytest

from tests.acceptance.conftest import World, cats
from tests.parts.command import Running

KEY_CHECKS = 2
"""A look at a request that is none, before the question and when the run opens."""


def serve(world: World) -> tuple[str, Running]:
    """A receiver on a port of its own; its address."""
    running = world.command.start("serve", "--port", "0", "--json")
    assert running.process.stdout is not None
    return str(json.loads(running.process.stdout.readline())["url"]), running


@pytest.fixture
def receiver(world: World) -> Iterator[str]:
    world.command.environment["REELBATCH_WEBHOOK_JWKS_URL"] = world.fal.jwks_url
    url, running = serve(world)
    world.command.environment["REELBATCH_WEBHOOK_URL"] = url
    yield url
    running.process.send_signal(signal.SIGTERM)
    assert running.finish(timeout_seconds=30).code == 0


def test_while_webhooks_come_no_status_is_asked(world: World, receiver: str) -> None:
    world.write("cats.csv", cats(6))
    done = world.run("cats.csv", "--collect", "webhook")
    assert (done.code, done.json["archived"], world.accepted) == (0, 6, 6), done.text
    assert world.fal.state()["calls"]["status"] == KEY_CHECKS
    assert httpx.get(f"{receiver}/healthz").json() == {"status": "ok"}
    assert 'reelbatch_jobs{state="archived"} 6.0' in httpx.get(f"{receiver}/metrics").text


def test_what_no_webhook_came_for_is_polled(world: World, receiver: str) -> None:
    """Overdue at three times the usual wait; refused content is told with fal's own reason."""
    world.fal.break_("lost_webhook", prompt="A cat 1")
    world.fal.break_("model_refusal", prompt="A cat 2")
    world.write("cats.csv", cats(5))
    done = world.run("cats.csv", "--collect", "webhook")
    assert (done.code, done.json["archived"], done.json["failed"]) == (3, 4, 1), done.text
    assert done.json["failures"][0]["error"] == "content_policy_violation"
    assert 1 <= world.fal.state()["calls"]["status"] - KEY_CHECKS <= 4


def test_a_lost_answer_is_found_by_its_token(world: World, receiver: str) -> None:
    world.fal.break_("accept_then_drop", prompt="A cat 1")
    world.fal.break_("history_error", with_={"status": 403})
    world.write("cats.csv", cats(3))
    done = world.run("cats.csv", "--collect", "webhook")
    assert (done.code, done.json["archived"], world.accepted) == (0, 3, 3), done.text


def test_a_run_that_polls_is_helped_by_webhooks_and_held_up_by_none(
    world: World, receiver: str
) -> None:
    """Where an address is set the token travels with every POST: it settles the doubt."""
    world.fal.break_("accept_then_drop", prompt="A cat 1")
    world.fal.break_("history_error", with_={"status": 503})
    world.write("cats.csv", cats(6))
    done = world.run("cats.csv", timeout_seconds=60)
    assert (done.code, done.json["archived"], world.accepted) == (0, 6, 6), done.text


def test_without_an_address_it_is_refused(world: World) -> None:
    world.write("cats.csv", cats(1))
    refused = world.run("cats.csv", "--collect", "webhook")
    assert (refused.code, world.accepted) == (2, 0)
    assert "REELBATCH_WEBHOOK_URL" in refused.stderr
    taken = world.command("serve", "--host", "192.0.2.1")
    assert taken.code == 2, taken.text
    assert "listen" in taken.stderr
