"""Images to fal's CDN, by fal-client's own code at our own addresses."""

from __future__ import annotations

import traceback

import fal_client.client
import pytest

from reelbatch.config import Settings
from reelbatch.errors import Permanent, Transient
from reelbatch.fal.client import Fal, open_fal
from reelbatch.fal.constants import FAL_CLIENT_CONSTANTS, point_fal_client
from reelbatch.fal.error_types import Family
from reelbatch.fal.failures import PermanentFailure
from tests.reelbatch.fal.opened import KEY, local_settings, real_settings
from tests.reelbatch.fal.raw_server import Act, RawServer, answer, drop, head, send

ACCESS_URL = "https://v3b.fal.media/files/b/0a/cat.png"
UPLOADED = answer(200, {"access_url": ACCESS_URL})


@pytest.fixture(autouse=True)
def fal_client_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its constants belong to the whole process; one try of each request is enough here."""
    for name in FAL_CLIENT_CONSTANTS:
        monkeypatch.setattr(fal_client.client, name, getattr(fal_client.client, name))
    monkeypatch.setattr(fal_client.client, "MAX_ATTEMPTS", 1)


def token(server: RawServer) -> Act:
    return answer(
        200,
        {
            "token": "cdn-token",
            "token_type": "Bearer",
            "base_url": server.url,
            "expires_at": "2099-01-01T00:00:00+00:00",
        },
    )


async def upload(fal: Fal) -> str:
    return await fal.upload(b"\x89PNG", "image/png", "cat.png")


def test_fal_client_still_has_the_names_we_point_elsewhere() -> None:
    """They are not API: without them uploads would go to fal whatever the settings say."""
    for name in FAL_CLIENT_CONSTANTS:
        assert isinstance(getattr(fal_client.client, name), str)


def test_a_fal_client_without_those_names_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(fal_client.client, "CDN_URL")
    with pytest.raises(RuntimeError, match="CDN_URL"):
        point_fal_client(fal_client.client, real_settings())


def test_with_the_default_settings_fal_client_has_its_own_addresses() -> None:
    point_fal_client(fal_client.client, Settings(fal_key=KEY))
    addresses = {name: getattr(fal_client.client, name) for name in FAL_CLIENT_CONSTANTS}
    assert addresses == {
        "QUEUE_URL_FORMAT": "https://queue.fal.run/",
        "REST_URL": "https://rest.fal.ai",
        "CDN_URL": "https://v3.fal.media",
    }


async def test_an_upload_gives_a_url(server: RawServer, local_fal: Fal) -> None:
    server.then(token(server)).then(UPLOADED)
    assert await upload(local_fal) == ACCESS_URL
    asked, sent = server.requests
    assert asked.target == "/storage/auth/token?storage_type=fal-cdn-v3"
    assert asked.headers["authorization"] == f"Key {KEY}"
    assert (sent.method, sent.target, sent.body) == ("POST", "/files/upload", b"\x89PNG")
    assert sent.headers["content-type"] == "image/png"
    assert sent.headers["x-fal-file-name"] == "cat.png"


async def test_the_content_goes_with_a_token_and_without_the_key(
    server: RawServer, local_fal: Fal
) -> None:
    server.then(token(server)).then(UPLOADED)
    await upload(local_fal)
    assert server.requests[1].headers["authorization"] == "Bearer cdn-token"


@pytest.mark.parametrize(
    ("name", "sent"),
    [("Kätzchen am Meer.png", "K_tzchen_am_Meer.png"), ("a\r\nb.png", "a_b.png"), ("", "image")],
)
async def test_any_file_name_may_be_sent(
    server: RawServer, local_fal: Fal, name: str, sent: str
) -> None:
    server.then(token(server)).then(UPLOADED)
    await local_fal.upload(b"\x89PNG", "image/png", name)
    assert server.requests[1].headers["x-fal-file-name"] == sent


async def test_one_token_serves_many_uploads(server: RawServer, local_fal: Fal) -> None:
    server.then(token(server)).then(UPLOADED)
    for _ in range(3):
        await upload(local_fal)
    assert len(server.requests) == 4


async def test_the_environments_key_is_not_used(
    server: RawServer, local_fal: Fal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAL_KEY", "another:key")
    server.then(token(server)).then(UPLOADED)
    await upload(local_fal)
    assert server.requests[0].headers["authorization"] == f"Key {KEY}"


async def test_without_a_key_nothing_is_sent(
    server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fal-client would look for one everywhere, down to the user's home."""
    monkeypatch.setenv("FAL_KEY", "another:key")
    async with open_fal(local_settings(server.url).model_copy(update={"fal_key": None})) as fal:
        with pytest.raises(Permanent) as raised:
            await upload(fal)
    assert raised.value.error == "no_key"
    assert server.requests == []


@pytest.mark.parametrize(
    ("status", "detail", "family"),
    [
        (403, "User is locked. Reason: Exhausted balance.", Family.LOCKED),
        (401, "invalid key credentials", Family.AUTH),
        (413, "too large", Family.PERMANENT),
    ],
)
@pytest.mark.parametrize("step", ["token", "upload"])
async def test_a_refusal_says_whose_fault_it_is(
    server: RawServer, local_fal: Fal, status: int, detail: str, family: Family, step: str
) -> None:
    if step == "upload":
        server.then(token(server))
    server.then(answer(status, {"detail": detail}))
    with pytest.raises(PermanentFailure, match=detail) as raised:
        await upload(local_fal)
    assert raised.value.failure.family is family
    assert len(server.requests) == (1 if step == "token" else 2)


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("step", ["token", "upload"])
async def test_trouble_is_transient(
    server: RawServer, local_fal: Fal, status: int, step: str
) -> None:
    if step == "upload":
        server.then(token(server))
    server.then(answer(status, {"detail": "later"}, retry_after="9"))
    with pytest.raises(Transient, match="later") as raised:
        await upload(local_fal)
    assert raised.value.retry_after == 9


ODD = {
    "nothing": drop(),
    "no JSON": send(head(200, b"<html>")),
    "no object": send(head(200, b"[]")),
    "no URL": answer(200, {"url": ACCESS_URL}),
    "a URL that is none": answer(200, {"access_url": "cat.png"}),
    "a URL that is no text": answer(200, {"access_url": 7}),
    "half an answer": drop(head(200, b'{"access_url', length=500)),
}


@pytest.mark.parametrize("act", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("step", ["token", "upload"])
async def test_an_odd_answer_is_transient(
    server: RawServer, local_fal: Fal, act: Act, step: str
) -> None:
    if step == "upload":
        server.then(token(server))
    server.then(act)
    with pytest.raises(Transient):
        await upload(local_fal)


async def test_the_key_is_not_sent_to_a_url_that_an_answer_names(
    server: RawServer, local_fal: Fal
) -> None:
    """fal-client's fallback would PUT with the key to any `upload_url`: it is not used."""
    server.then(answer(500, {"detail": "later"}))
    server.then(answer(200, {"upload_url": f"{server.url}/evil", "file_url": ACCESS_URL}))
    with pytest.raises(Transient):
        await upload(local_fal)
    assert len(server.requests) == 1


@pytest.mark.parametrize("step", ["token", "upload"])
async def test_a_key_that_fal_repeats_is_taken_out(
    server: RawServer, local_fal: Fal, step: str
) -> None:
    if step == "upload":
        server.then(token(server))
    server.then(answer(401, {"detail": f"No user found for {KEY}"}))
    with pytest.raises(Permanent) as raised:
        await upload(local_fal)
    assert KEY not in "".join(traceback.format_exception(raised.value))


async def test_an_unreachable_host_is_transient(unused_tcp_port: int) -> None:
    async with open_fal(local_settings(f"http://127.0.0.1:{unused_tcp_port}")) as fal:
        with pytest.raises(Transient):
            await upload(fal)
