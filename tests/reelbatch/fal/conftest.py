"""The server that misbehaves, and a `Fal` pointed at it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from reelbatch.fal.client import Fal, open_fal
from tests.reelbatch.fal.opened import local_settings
from tests.reelbatch.fal.raw_server import RawServer, raw_server


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with raw_server() as running:
        yield running


@pytest.fixture
async def local_fal(server: RawServer) -> AsyncIterator[Fal]:
    async with open_fal(local_settings(server.url)) as fal:
        yield fal
