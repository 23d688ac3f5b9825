"""What fal ran and billed, against what we hold: nothing may be left over."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import httpx

from tests.acceptance.conftest import World, cats
from tests.acceptance.test_receivers import answered_well
from tests.acceptance.test_webhooks import serve
from tests.parts.waiting import wait_until

KEYS = {"batch", "held", "fal", "strays", "unbilled", "held_usd", "billed_usd", "unknown_calls"}


def sent_by_somebody_else(world: World, body: dict[str, Any], **query: str) -> str:
    """One more paid request, of which our ledger knows nothing; returns its id."""
    environment = world.fal.environment
    answer = httpx.post(
        f"{world.fal.queue_url}/fal-ai/ovi",
        params=query,
        json=body,
        headers={"Authorization": f"Key {environment['FAL_KEY']}"},
    )
    answer.raise_for_status()
    return str(answer.json()["request_id"])


def made(world: World, count: int = 2) -> None:
    world.write("cats.csv", cats(count))
    done = world.run("cats.csv")
    assert done.code == 0, done.text


def test_a_batch_that_agrees_has_nothing_left_over(world: World) -> None:
    made(world)
    found = world.command("reconcile", "cats", "--json")
    assert (found.code, set(found.json)) == (0, KEYS), found.text
    assert (found.json["held"], found.json["fal"], found.json["strays"]) == (2, 2, 0)
    assert (found.json["held_usd"], found.json["billed_usd"]) == ("0.40", "0.40")
    assert found.json["unknown_calls"] == []
    assert "Nothing is left over" in found.stderr


def test_a_stray_is_told_and_brought_home(world: World) -> None:
    """A script of the team's sent row 1 once more: it is paid, so it goes into the books."""
    made(world)
    first = world.fal.submissions()[0]["body"]
    stray = sent_by_somebody_else(world, first)
    sent_by_somebody_else(world, {"prompt": "a dog of another project"})
    found = world.command("reconcile", "cats", "--json")
    assert (found.code, found.json["strays"], found.json["fal"]) == (3, 1, 3), found.text
    assert stray in found.stderr
    assert "1 more of this account" in found.stderr
    adopted = world.command("reconcile", "cats", "--adopt", "--json")
    assert (adopted.code, adopted.json["strays"], adopted.json["held"]) == (0, 0, 3), adopted.text
    again = world.run("cats.csv")
    assert (again.code, again.json["spent_usd"], world.accepted) == (0, "0.20", 4), again.text
    after = world.command("reconcile", "cats", "--json")
    assert (after.code, after.json["held_usd"], after.json["billed_usd"]) == (0, "0.60", "0.60")


def test_a_webhook_for_another_ledgers_request_is_told_and_is_nothing_of_this_batch(
    world: World,
) -> None:
    made(world, count=1)
    world.command.environment["REELBATCH_WEBHOOK_JWKS_URL"] = world.fal.jwks_url
    receiver, _ = serve(world)
    address = f"{receiver}/webhooks/fal/hush-another-ledgers-token"
    unknown = sent_by_somebody_else(world, {"prompt": "a dog of theirs"}, fal_webhook=address)
    wait_until(lambda: answered_well(receiver) == 1, description="fal has called")
    found = world.command("reconcile", "cats", "--json")
    assert (found.code, found.json["strays"]) == (0, 0), found.text
    (call,) = found.json["unknown_calls"]
    assert (call["request_id"], call["status"], call["times"]) == (unknown, "OK", 1)
    assert "webhooks came for 1 request that this ledger never sent" in found.stderr
    assert f"unknown {unknown}, OK, heard of once" in found.stderr
    assert "Nothing is left over" in found.stderr
    assert "hush" not in found.text


def test_an_answer_that_was_lost_is_brought_home_by_hand(world: World) -> None:
    """`hold` leaves a doubt alone; a person may look at fal's list and adopt."""
    world.fal.break_("accept_then_drop", prompt="A cat 1")
    world.fal.break_("history_error")
    world.write("cats.csv", cats(2))
    assert world.run("cats.csv").json["in_doubt"] == 1
    refused = world.command("reconcile", "cats")
    assert refused.code == 1, refused.text
    world.fal.mend()
    found = world.command("reconcile", "cats", "--adopt", "--json")
    assert (found.code, found.json["held"]) == (0, 2), found.text
    done = world.run("cats.csv")
    assert (done.code, done.json["archived"], world.accepted) == (0, 2, 2), done.text


def test_a_key_that_may_not_read_the_bill_compares_the_list(world: World) -> None:
    made(world)
    world.fal.break_("billing_error")
    found = world.command("reconcile", "cats", "--json")
    assert (found.code, found.json["billed_usd"], found.json["unbilled"]) == (0, None, None)
    assert "ADMIN" in found.stderr


def test_a_list_that_may_not_be_read_is_refused(world: World) -> None:
    made(world)
    world.fal.break_("history_error", with_={"status": 403})
    found = world.command("reconcile", "cats")
    assert found.code == 2, found.text
    assert "list of requests" in found.stderr


def test_a_video_fal_made_after_all_is_told_and_fetched(world: World) -> None:
    """Our books call it cancelled, fal ran it: the next run must not buy it again."""
    world.fal.set(concurrency=1, service_seconds=0.5)
    made(world)
    with closing(sqlite3.connect(world.ledger)) as ledger, ledger:
        ledger.execute("UPDATE attempts SET outcome = 'failed' WHERE n = 1")
        ledger.execute("UPDATE jobs SET state = 'cancelled', archived_at = NULL")
    found = world.command("reconcile", "cats", "--json")
    assert (found.code, found.json["strays"]) == (3, 2), found.text
    assert "booked as failed" in found.stderr
    assert world.command("reconcile", "cats", "--adopt").code == 0
    done = world.run("cats.csv")
    assert (done.code, done.json["archived"], world.accepted) == (0, 2, 2), done.text
