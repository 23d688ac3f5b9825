"""`reelbatch alerts` before anything is installed: what it refuses, and what it never says."""

from __future__ import annotations

import pytest

from tests.parts.command import Command
from tests.parts.listener import Listener

HUSH = "hush-0123456789abcdef"


def test_without_a_server_that_outlives_a_run_it_is_refused(run_cli: Command) -> None:
    del run_cli.environment["PREFECT_API_URL"]
    done = run_cli("alerts", environment={"REELBATCH_ALERTS_URL": "https://hooks.example/x"})
    assert (done.code, "prefect server start" in done.stderr) == (2, True), done.text


@pytest.mark.parametrize("address", ["", f"http://hooks.example/{HUSH}", f"hooks/{HUSH}"])
def test_an_address_that_is_no_address_is_refused(run_cli: Command, address: str) -> None:
    done = run_cli("alerts", environment={"REELBATCH_ALERTS_URL": address})
    assert (done.code, "must be https" in done.stderr) == (2, True), done.text
    assert HUSH not in done.text


def test_an_unknown_form_is_refused_with_those_there_are(run_cli: Command) -> None:
    done = run_cli("alerts", "--as", "pigeon")
    assert (done.code, "text, teams, json" in done.stderr) == (2, True), done.text


def test_a_prefect_that_does_not_answer_is_a_sentence(run_cli: Command) -> None:
    nobody = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    done = run_cli("alerts", environment={**nobody, "REELBATCH_ALERTS_URL": f"https://a.b/{HUSH}"})
    assert done.code == 1
    assert done.stderr.startswith("Prefect cannot be reached"), done.text
    assert HUSH not in done.text


def test_a_webhook_that_refuses_the_test_is_a_sentence_and_nothing_is_installed(
    run_cli: Command,
) -> None:
    address = f"{run_cli.environment['PREFECT_API_URL']}/{HUSH}"
    done = run_cli("alerts", "--test", environment={"REELBATCH_ALERTS_URL": address})
    assert (done.code, done.stderr) == (1, "The webhook answers 404. Look at its address.\n")
    assert run_cli("alerts", "--remove").stdout.startswith("0 automations")


def test_a_test_message_arrives_in_the_form_that_was_chosen(
    run_cli: Command, listener: Listener
) -> None:
    for form in ("text", "teams", "json"):
        url = {"REELBATCH_ALERTS_URL": f"{listener.url}/{HUSH}"}
        assert run_cli("alerts", "--test", "--as", form, environment=url).code == 0
    run_cli("alerts", "--remove")
    text, card, plain = listener.heard
    assert '{"text":"Reelbatch\\\\nWhat becomes' in text
    assert "application/vnd.microsoft.card.adaptive" in card
    assert '"text":"Reelbatch"' in card
    assert '{"subject":"Reelbatch","body":"What becomes' in plain
