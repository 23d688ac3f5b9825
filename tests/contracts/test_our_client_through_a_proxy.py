"""Our client under fal's real names, led to the emulator by the environment alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from reelbatch.cli.emulated import KEY, EmulatedFal
from reelbatch.config import Settings
from reelbatch.fal import connections
from reelbatch.fal.answers import Accepted, NotSent, SubmitOutcome
from reelbatch.fal.client import open_fal

OVI = "fal-ai/ovi"
WORDS = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(scope="module")
def emulated() -> Iterator[dict[str, Any]]:
    fal = EmulatedFal.start(service_seconds=0.1, options=["--media=tiny", "--tls", "--proxy"])
    yield json.loads(fal.child.said())
    fal.stop()


@pytest.fixture
def environment(
    emulated: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    for word in WORDS:
        monkeypatch.delenv(word, raising=False)
        monkeypatch.delenv(word.lower(), raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", emulated["ca_file"])
    _forget()
    yield monkeypatch
    _forget()


def _forget() -> None:
    connections.proxy_for.cache_clear()
    connections._tls.cache_clear()


async def submitted() -> SubmitOutcome:
    async with open_fal(Settings(fal_key=KEY)) as fal:
        return await fal.submit(OVI, {"prompt": "a fox"}, token="t", start_timeout_seconds=60)


@pytest.mark.parametrize("word", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_a_proxy_of_the_environment_leads_to_fal(
    word: str, emulated: dict[str, Any], environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(word, emulated["proxy_url"])
    assert isinstance(await submitted(), Accepted)


async def test_a_proxy_may_be_named_without_its_scheme(
    emulated: dict[str, Any], environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HTTPS_PROXY", emulated["proxy_url"].removeprefix("http://"))
    assert isinstance(await submitted(), Accepted)


def test_no_proxy_goes_past_it(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    environment.setenv("NO_PROXY", ".fal.run")
    assert connections.proxy_for("https", "queue.fal.run") is None
    assert connections.proxy_for("https", "api.fal.ai") == "http://proxy.example:3128"


async def test_a_proxy_that_nobody_answers_at_sends_nothing(
    unused_tcp_port: int, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HTTPS_PROXY", f"http://127.0.0.1:{unused_tcp_port}")
    assert isinstance(await submitted(), NotSent)
