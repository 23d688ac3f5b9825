"""Whatever an answer says, the key goes to fal's hosts of the settings and to nobody else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from reelbatch.errors import ReelbatchError
from reelbatch.fal.answers import Accepted, Rejected
from reelbatch.fal.client import Fal
from reelbatch.fal.endpoints import OVI_TEXT
from tests.contracts.fal_parts import PNG, accepted, changes_of, submit
from tests.parts.emulator import Emulator
from tests.parts.listener import Listener


async def test_urls_on_another_host_are_not_believed(
    shared_emulator: Emulator, emulated_fal: Fal, listener: Listener
) -> None:
    """The request is ours by its id; where to ask for it we know ourselves."""
    shared_emulator.break_("answer_names_another_host", with_={"url": listener.url})
    outcome = await submit(emulated_fal)
    assert isinstance(outcome, Accepted)
    urls = (outcome.submission.status_url, outcome.submission.response_url)
    assert all(url.startswith(f"{shared_emulator.queue_url}/") for url in urls)
    await changes_of(emulated_fal, outcome.submission)
    await emulated_fal.result(outcome.submission)
    await emulated_fal.cancel(outcome.submission)
    assert listener.heard == []


async def _ask_status(fal: Fal) -> None:
    await fal.status(await accepted(fal))


async def _listen_to_status(fal: Fal) -> None:
    async for _ in fal.stream(await accepted(fal)):
        return


async def _ask_result(fal: Fal) -> None:
    await fal.result(await accepted(fal))


async def _cancel(fal: Fal) -> None:
    await fal.cancel(await accepted(fal))


async def _submit(fal: Fal) -> None:
    assert isinstance(await submit(fal), Rejected)


async def _upload(fal: Fal) -> None:
    await fal.upload(PNG, "image/png", "dot.png")


async def _prices(fal: Fal) -> None:
    await fal.prices([OVI_TEXT.id])


async def _history(fal: Fal) -> None:
    now = datetime.now(UTC)
    async for _ in fal.requests(OVI_TEXT.id, start=now - timedelta(hours=1), end=now):
        return


REDIRECTS: dict[str, Callable[[Fal], Awaitable[None]]] = {
    "redirected": _submit,
    "status_redirected": _ask_status,
    "stream_redirected": _listen_to_status,
    "result_redirected": _ask_result,
    "cancel_redirected": _cancel,
    "token_redirected": _upload,
    "upload_redirected": _upload,
    "pricing_redirected": _prices,
    "history_redirected": _history,
}


@pytest.mark.parametrize("fault", REDIRECTS)
async def test_no_redirect_is_followed(
    shared_emulator: Emulator, emulated_fal: Fal, listener: Listener, fault: str
) -> None:
    shared_emulator.break_(fault, with_={"location": f"{listener.url}/elsewhere"})
    with suppress(ReelbatchError):
        await REDIRECTS[fault](emulated_fal)
    assert [rule["strikes"] for rule in shared_emulator.state()["faults"]] == [1]
    assert listener.heard == []
