"""The log of a run: objects on stderr for machines, a few words at a terminal, lines in Prefect."""

from __future__ import annotations

import json
import os
import pty
import subprocess

import httpx

from tests.acceptance.conftest import World, cats
from tests.acceptance.test_control import read_until
from tests.parts.command import BIN
from tests.parts.log import log_lines
from tests.parts.waiting import wait_until

REFUSED = "content_policy_violation"


def on_the_page(world: World) -> set[str]:
    """What Prefect shows of the newest flow run's log, ours alone."""
    api, run = world.command.environment["PREFECT_API_URL"], world.newest_flow_run()
    wanted = {"logs": {"flow_run_id": {"any_": [run["id"]]}}}
    found = httpx.post(f"{api}/logs/filter", json=wanted, trust_env=False).json()
    return {line["message"] for line in found if line["name"].startswith("reelbatch")}


def test_without_a_terminal_stderr_is_one_object_a_line_and_prefect_has_them_too(
    world: World,
) -> None:
    """What people read is on stdout then, and nothing is said in both places."""
    world.write("cats.csv", cats(3))
    world.fal.break_("model_refusal", prompt="A cat 2")
    done = world.command("run", "cats.csv", "--yes")
    assert done.code == 3, done.text
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["batch"] for line in lines} == {"cats"}
    (failed,) = [line for line in lines if "row_id" in line]
    assert (failed["row_id"], failed["take"], failed["attempt"]) == ("cat-2", 1, 1)
    assert failed["error"] == REFUSED
    assert f"row cat-2 take 1: failed with {REFUSED}" in failed["message"]
    assert failed["request_id"] in failed["message"]
    stages = [line["message"] for line in lines if "row_id" not in line]
    assert stages[0].startswith("cats: planned: 3 sound rows in cats.csv, 3 videos; new 3")
    assert stages[1].startswith("cats: 0 of 3 archived; ")
    assert stages[-1] == "cats: ended: 2 of 3 archived, 1 failed; $0.60 spent."
    assert f"cats.csv:3: cat-2: {REFUSED}" in done.stdout
    said = {line["message"] for line in lines}
    wait_until(
        lambda: on_the_page(world) == said,
        description="Prefect has every line of it",
        timeout_seconds=90,
    )


def test_the_level_is_the_users(world: World) -> None:
    """At debug each step of a row is told, and Prefect is spared that."""
    world.write("cats.csv", cats(1))
    world.command.environment["REELBATCH_LOG_LEVEL"] = "DEBUG"
    done = world.run("cats.csv")
    steps = [line["message"].split(" (")[0] for line in log_lines(done.stderr) if "row_id" in line]
    assert steps == [
        f"cats: row cat-1 take 1: {step}" for step in ("submitted", "made", "archived")
    ]
    ended = "cats: ended: 1 of 1 archived; $0.20 spent."
    wait_until(
        lambda: ended in on_the_page(world),
        description="Prefect has the last line",
        timeout_seconds=90,
    )
    assert not any("cat-1" in message for message in on_the_page(world))
    world.write("dogs.csv", "prompt\nA dog\n")
    world.command.environment["REELBATCH_LOG_LEVEL"] = "error"
    assert log_lines(world.run("dogs.csv").stderr) == []
    world.command.environment["REELBATCH_LOG_LEVEL"] = "loud"
    refused = world.run("dogs.csv")
    assert (refused.code, "REELBATCH_LOG_LEVEL" in refused.stderr) == (2, True), refused.text


def test_at_a_terminal_there_is_the_progress_line_and_what_is_amiss(world: World) -> None:
    world.write("cats.csv", cats(1))
    world.fal.lock()
    terminal, screen = pty.openpty()
    running = subprocess.Popen(
        [BIN / "reelbatch", "run", "cats.csv", "--yes"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=screen,
        env=world.command.environment | {"TERM": "xterm"},
        cwd=world.folder,
    )
    os.close(screen)
    seen = read_until(terminal, None)
    os.close(terminal)
    assert running.wait(60) == 4, seen
    assert "0 of 1 archived; " in seen
    assert seen.count("warning: cats: parked (locked): ") == 1
    assert '{"time"' not in seen
    assert "cats: stopped" not in seen, "the report says it"
