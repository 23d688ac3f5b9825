"""What the chapters of fal's contract share: one emulator, real fal with a key, and verbs."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from reelbatch.cli.emulated import EmulatedFal
from reelbatch.config import Settings, read_settings
from reelbatch.fal.answers import (
    Accepted,
    Completed,
    Status,
    Submission,
    SubmitOutcome,
)
from reelbatch.fal.client import Fal, open_fal
from reelbatch.fal.endpoints import OVI_TEXT
from tests.parts.emulator import Emulator

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
REAL_FAL = pytest.param(
    "real fal",
    marks=[
        pytest.mark.paid,
        pytest.mark.skipif(
            not (os.environ.get("FAL_KEY") and os.environ.get("REELBATCH_TEST_REAL_FAL") == "1"),
            reason="spends money: wants FAL_KEY and REELBATCH_TEST_REAL_FAL=1",
        ),
    ],
)


@pytest.fixture(scope="session")
def emulator_of_the_contract() -> Iterator[Emulator]:
    """One program for all tests here: each begins without faults."""
    program = EmulatedFal.start(concurrency=8, service_seconds=0.1, options=["--media=tiny"])
    emulator = Emulator(program)
    yield emulator
    emulator.stop()


@pytest.fixture
def shared_emulator(emulator_of_the_contract: Emulator) -> Iterator[Emulator]:
    emulator = emulator_of_the_contract
    yield emulator
    emulator.mend()
    emulator.unlock()
    emulator.set(service_seconds=0.1, honour_cancel=False)


@pytest.fixture
async def emulated_fal(shared_emulator: Emulator) -> AsyncIterator[Fal]:
    async with open_fal(settings_of(shared_emulator)) as opened:
        yield opened


@pytest.fixture(params=["emulator", REAL_FAL])
async def any_fal(request: pytest.FixtureRequest) -> AsyncIterator[Fal]:
    if request.param == "real fal":
        settings = read_settings()
    else:
        settings = settings_of(request.getfixturevalue("shared_emulator"))
    async with open_fal(settings) as opened:
        yield opened


def settings_of(emulator: Emulator) -> Settings:
    return read_settings(**emulator.settings)


def body(prompt: str = "A cat says <S>hello<E>") -> dict[str, object]:
    """Never the same twice: the seed makes it ours."""
    return {"prompt": prompt, "seed": random.randrange(2**31)}


async def submit(fal: Fal, **changes: object) -> SubmitOutcome:
    return await fal.submit(OVI_TEXT.id, body() | changes, token="t0", start_timeout_seconds=600)


async def accepted(fal: Fal, **changes: object) -> Submission:
    outcome = await submit(fal, **changes)
    assert isinstance(outcome, Accepted), outcome
    return outcome.submission


async def changes_of(fal: Fal, submission: Submission) -> list[Status]:
    """All the way to the end; no clock is asked."""
    return [status async for status in fal.stream(submission)]


async def finished(fal: Fal, **changes: object) -> Submission:
    submission = await accepted(fal, **changes)
    last = (await changes_of(fal, submission))[-1]
    assert isinstance(last, Completed)
    return submission
