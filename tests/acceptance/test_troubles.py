"""What goes wrong at fal: what can be had is had with one payment, the rest is told."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import pytest

from tests.acceptance.conftest import World, cats

POLICY = "content_policy_violation"
FLAGGED = "The content could not be processed because it was flagged."

HARMLESS: dict[str, list[tuple[str, dict[str, object]]]] = {
    "fal is busy": [("too_many_requests", {"times": 2, "with_": {"retry_after": 1}})],
    "streams break": [
        ("stream_error", {"times": 1}),
        ("stream_redirected", {"times": 1}),
        ("stream_broken", {"times": 2}),
    ],
    "status reads fail": [
        ("status_error", {"times": 2}),
        ("status_garbled", {"times": 2}),
        ("status_dropped", {"times": 1}),
        ("status_missing", {"times": 1}),
    ],
    "results flake": [
        ("result_flake", {"first": 1}),
        ("result_garbled", {"times": 1}),
        ("result_in_progress", {"times": 1}),
    ],
    "videos break off": [
        ("truncated_media", {"nth": [1, 2]}),
        ("media_error", {"nth": [3, 4], "with_": {"status": 503}}),
        ("html_media", {"times": 1}),
    ],
}


@pytest.mark.parametrize("trouble", HARMLESS)
def test_a_passing_trouble_costs_nothing(world: World, trouble: str) -> None:
    for fault, rule in HARMLESS[trouble]:
        world.fal.break_(fault, **rule)
    world.write("cats.csv", cats(4))
    way = "poll" if trouble == "status reads fail" else "stream"
    done = world.run("cats.csv", f"--collect={way}")
    assert (done.code, done.json["archived"], done.json["spent_usd"]) == (0, 4, "0.80"), done.text
    assert (world.accepted, world.paid_twice) == (4, 0)
    struck = [fault["strikes"] for fault in world.fal.state()["faults"]]
    assert all(struck), struck


def test_what_never_started_is_submitted_again_for_nothing(world: World) -> None:
    world.fal.set(concurrency=1, service_seconds=2.0)
    world.write("cats.csv", cats(2))
    done = world.run("cats.csv", environment={"REELBATCH_START_TIMEOUT": "1"})
    assert (done.code, done.json["archived"], done.json["spent_usd"]) == (0, 2, "0.40"), done.text
    shown = world.command("show", "cats", "cat-2", "--json").json["takes"][0]
    first = world.command("show", "cats", "cat-1", "--json").json["takes"][0]
    attempts = shown["attempts"] + first["attempts"]
    assert world.accepted == len(attempts) > 2
    assert {attempt["error"] for attempt in attempts} == {None, "start_timeout"}


def test_a_runner_that_failed_is_asked_once_more(world: World) -> None:
    """fal itself has tried ten times by then, and bills none of it."""
    world.fal.break_("runner_error", first=10, with_={"after": 0.0})
    world.write("cats.csv", cats(1))
    done = world.run("cats.csv")
    assert (done.code, done.json["archived"], done.json["spent_usd"]) == (0, 1, "0.20"), done.text
    assert world.accepted == 2


def test_refused_content_is_told_and_tried_again_when_asked(world: World) -> None:
    world.fal.break_("model_refusal", prompt="A cat 2", with_={"type": POLICY, "billed": 0})
    world.write("cats.csv", cats(3))
    done = world.run("cats.csv")
    assert (done.code, done.json["archived"], done.json["failed"]) == (3, 2, 1), done.text
    (failure,) = done.json["failures"]
    assert (failure["row_id"], failure["line"], failure["error"]) == ("cat-2", 3, POLICY)
    assert set(failure) == {"row_id", "take", "line", "error", "message", "request_id"}
    advice = "Change the prompt or the image and run again"
    assert f"cats.csv:3: cat-2: {POLICY}: prompt: {FLAGGED}" in done.stderr
    assert f"1 failed with {POLICY}. {advice}" in done.stderr
    index = (world.archive / "cats/index.csv").read_text("utf-8-sig")
    assert [POLICY in line for line in index.splitlines()[1:]] == [False, True, False]

    status = world.command("status", "cats")
    assert status.code == 3
    assert f"cat-2: {POLICY}: prompt: {FLAGGED}" in status.stdout
    assert f"1 failed with {POLICY}. {advice}" in status.stdout
    shown = world.command("show", "cats", "cat-2").stdout
    assert f": failed {failure['request_id']}: {POLICY}: prompt: {FLAGGED}" in shown
    assert f"what to do: {advice}" in shown

    again = world.run("cats.csv")
    assert (again.code, again.json["failed"], world.accepted) == (3, 1, 3), again.text

    world.fal.mend()
    other = world.command("retry", "cats", "--where=error=start_timeout", "--yes")
    assert (other.code, world.accepted) == (2, 3), other.text
    retried = world.command("retry", "cats", f"--where=error={POLICY}", "--yes", "--json")
    assert (retried.code, retried.json["archived"]) == (0, 3), retried.text
    assert (world.accepted, retried.json["spent_usd"]) == (4, "0.20")
    (take,) = world.command("show", "cats", "cat-2", "--json").json["takes"]
    told = [(attempt["error"], attempt["message"]) for attempt in take["attempts"]]
    assert told == [(POLICY, f"prompt: {FLAGGED}"), (None, None)]


def test_ten_first_answers_that_fail_alike_stop_the_batch(world: World) -> None:
    world.fal.break_("model_refusal", with_={"type": POLICY, "billed": 0})
    world.write("cats.csv", cats(30))
    done = world.run("cats.csv", "--max-in-flight=4")
    assert (done.code, done.json["stopped"]) == (4, "failing"), done.text
    assert 10 <= world.accepted <= 20
    assert done.json["remaining"] == 30 - done.json["failed"]
    assert "--keep-going" in done.stderr


def test_a_locked_account_stops_the_run_and_is_carried_on(world: World) -> None:
    world.write("cats.csv", cats(3))
    world.fal.lock()
    locked = world.run("cats.csv")
    assert (locked.code, locked.json["stopped"]) == (4, "locked"), locked.text
    assert "Top up your balance" in locked.stderr
    world.fal.unlock()
    done = world.run("cats.csv")
    assert (done.code, done.json["archived"], world.accepted) == (0, 3, 3), done.text


def test_an_answer_that_was_lost_is_found_at_fal(world: World) -> None:
    world.fal.break_("accept_then_drop", prompt="A cat 2")
    world.write("cats.csv", cats(3))
    done = world.run("cats.csv")
    assert (done.code, done.json["archived"], done.json["spent_usd"]) == (0, 3, "0.60"), done.text
    assert (world.accepted, world.paid_twice) == (3, 0)


def test_a_post_that_may_have_been_lost_is_held_and_never_sent_again(world: World) -> None:
    """It never arrived, but only time can show that."""
    world.fal.break_("drop_before_accept", prompt="A cat 2")
    world.write("cats.csv", cats(3))
    done = world.run("cats.csv")
    assert (done.code, done.json["archived"], done.json["in_doubt"]) == (3, 2, 1), done.text
    assert "up to $0.20 may have been paid" in done.stderr
    assert re.search(r"from \d{4}-\d\d-\d\d \d\d:\d\d on a run can settle them", done.stderr)
    world.fal.mend()
    again = world.run("cats.csv")
    assert (again.code, again.json["in_doubt"], world.accepted) == (3, 1, 2), again.text


def test_a_twin_of_a_lost_answer_is_served_once_it_is_found(world: World) -> None:
    """Two rows ask for the same; the one POST is in doubt, and its twin must not wait for ever."""
    world.fal.break_("accept_then_drop", times=1)
    world.write("cats.csv", "id,prompt,seed\na,A cat,7\nb,A cat,7\n")
    done = world.run("cats.csv")
    assert (done.code, done.json["archived"], done.json["reused"]) == (0, 2, 1), done.text
    assert (world.accepted, done.json["spent_usd"]) == (1, "0.20")


def test_a_retry_buys_what_failed_and_nothing_else(world: World) -> None:
    """Not the other takes of its row, which a budget had left over; and it says for how much."""
    world.fal.break_("model_refusal", times=1, with_={"type": POLICY, "billed": 0})
    world.write("cats.csv", "id,prompt,seed,takes\ncat-1,A cat,1,10\n")
    stopped = world.run("cats.csv", "--budget=0.40", "--max-in-flight=1")
    left = stopped.json
    assert (left["stopped"], left["failed"], left["archived"]) == ("budget", 1, 2), stopped.text
    resent = world.command("retry", "cats", "--yes", "--in-doubt=resubmit")
    assert (resent.code, "not for what is in doubt" in resent.stderr) == (2, True), resent.text
    limits = ["--budget-per-day=5", "--submit-rate=9", "--in-doubt=hold"]
    again = world.command("retry", "cats", "--yes", "--json", *limits)
    assert (again.json["archived"], again.json["remaining"]) == (3, 7), again.text
    assert (again.json["spent_usd"], world.accepted) == ("0.20", 4)


def test_a_refused_command_lifts_no_pause(world: World) -> None:
    world.write("cats.csv", cats(2))
    assert world.run("cats.csv").code == 0
    assert world.command("pause", "cats").code == 0
    refused = world.run("cats.csv", f"--archive={world.folder}/other")
    assert refused.code == 2, refused.text
    with closing(sqlite3.connect(world.ledger)) as ledger:
        assert ledger.execute("SELECT mark FROM batches").fetchall() == [("pause",)]
