"""Nothing of a webhook call is believed before fal's signature holds (fal.md, section 7)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from reelbatch.errors import Transient
from reelbatch.fal.jwks import KeyRing, keys_in
from reelbatch.fal.webhook import Forged, Unreadable, is_signed_by, read_call, signed

X = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
BODY = (
    b'{"request_id":"019e6d0a-e5be-7b82-b329-35ae64296902",'
    b'"gateway_request_id":"019e6d0a-e5be-7b82-b329-35ae64296902","status":"OK",'
    b'"payload":{"video":{"url":"https://v3b.fal.media/files/b/0a9b4900/out.mp4"},"seed":7}}'
)
HEADERS = {
    "x-fal-webhook-request-id": "019e6d0a-e5be-7b82-b329-35ae64296902",
    "x-fal-webhook-user-id": "user_123",
    "x-fal-webhook-timestamp": "1763700000",
    "x-fal-webhook-signature": "0cc6d08880be73915d352b70bbcc765d0e8c91054c7b95d09eefc465fe60ad5b"
    "f7ca169291ff885e38ad3f13013060692a7bf964c38024c5c817689a70ed1e0d",
}
THEN = 1763700000.0


def jwks(*xs: str) -> bytes:
    return json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x} for x in xs]}).encode()


def key(number: int) -> str:
    raw = Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)).public_key()
    return base64.urlsafe_b64encode(raw.public_bytes_raw()).rstrip(b"=").decode()


def test_the_test_vector_of_the_contract_verifies() -> None:
    call = signed(HEADERS, now=THEN)
    assert is_signed_by(keys_in(jwks(key(1), X)), call, BODY)
    read = read_call(call, BODY)
    assert (read.ok, read.payload) == (True, json.loads(BODY)["payload"])


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, BODY.replace(b"seed", b"Seed")),
        ({"x-fal-webhook-user-id": "user_124"}, BODY),
        ({"x-fal-webhook-timestamp": "1763700001"}, BODY),
        ({"x-fal-webhook-signature": "00" * 64}, BODY),
        ({"x-fal-webhook-signature": "00"}, BODY),
    ],
)
def test_any_change_breaks_the_signature(headers: dict[str, str], body: bytes) -> None:
    assert not is_signed_by(keys_in(jwks(X)), signed(HEADERS | headers, now=THEN), body)


def test_another_key_does_not_verify() -> None:
    assert not is_signed_by(keys_in(jwks(key(1))), signed(HEADERS, now=THEN), BODY)


@pytest.mark.parametrize("name", HEADERS)
def test_a_missing_header_is_forged(name: str) -> None:
    with pytest.raises(Forged, match=name):
        signed({k: v for k, v in HEADERS.items() if k != name}, now=THEN)


@pytest.mark.parametrize(
    "wrong",
    [
        {"x-fal-webhook-timestamp": "soon"},
        {"x-fal-webhook-timestamp": "9" * 400},
        {"x-fal-webhook-signature": "no hex"},
    ],
)
def test_malformed_headers_are_forged(wrong: dict[str, str]) -> None:
    with pytest.raises(Forged, match="malformed"):
        signed(HEADERS | wrong, now=THEN)


@pytest.mark.parametrize("off", [-301, 301])
def test_an_old_or_early_call_is_forged(off: float) -> None:
    signed(HEADERS, now=THEN + off * 300 / 301)
    with pytest.raises(Forged, match="301 s off"):
        signed(HEADERS, now=THEN + off)


def test_header_and_body_must_name_one_request() -> None:
    with pytest.raises(Forged, match="different requests"):
        read_call(signed(HEADERS, now=THEN), BODY.replace(b"019e", b"019f", 1))


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b'"OK"'])
def test_a_body_that_is_no_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_call(signed(HEADERS, now=THEN), body)


@pytest.mark.parametrize(
    "said",
    [
        {"status": "ERROR", "payload": {"detail": []}, "error": "Invalid status code: 422"},
        {"status": "OK", "payload": None, "payload_error": "not serializable"},
        {"status": "OK"},
    ],
)
def test_what_carries_no_result_has_to_be_fetched(said: dict[str, Any]) -> None:
    body = json.dumps({"request_id": HEADERS["x-fal-webhook-request-id"], **said}).encode()
    assert read_call(signed(HEADERS, now=THEN), body).payload is None


@pytest.mark.parametrize("content", [b"{}", b"[]", jwks(), jwks("short"), b"<html>"])
def test_a_key_set_without_keys_is_none(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"key|JSON|Expecting"):
        keys_in(content)


class Publisher:
    """fal's key set, and how often it was asked for."""

    def __init__(self) -> None:
        self.content = jwks(X)
        self.status = 200
        self.asked = 0
        self.clock = 0.0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        await asyncio.sleep(0.01)
        assert "authorization" not in request.headers
        return httpx.Response(self.status, content=self.content)


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
async def ring(publisher: Publisher) -> AsyncIterator[KeyRing]:
    transport = httpx.MockTransport(publisher.answer)
    async with httpx.AsyncClient(transport=transport) as http:
        yield KeyRing("https://rest.fal.ai/jwks.json", http, clock=lambda: publisher.clock)


async def test_keys_are_fetched_once_a_day(ring: KeyRing, publisher: Publisher) -> None:
    for hour in (0, 1, 23, 25):
        publisher.clock = hour * 3600
        assert len(await ring.keys()) == 1
    assert publisher.asked == 2


async def test_calls_that_come_at_once_wait_for_one_answer(
    ring: KeyRing, publisher: Publisher
) -> None:
    """A receiver's first calls, and those after fal has changed its keys."""
    found = await asyncio.gather(*(ring.keys() for _ in range(5)))
    assert [len(keys) for keys in found] == [1] * 5
    publisher.content, publisher.clock = jwks(X, key(1)), 61
    found = await asyncio.gather(*(ring.newer_keys() for _ in range(5)))
    assert [len(keys) for keys in found] == [2] * 5
    assert publisher.asked == 2


async def test_a_changed_key_is_found_within_a_minute(ring: KeyRing, publisher: Publisher) -> None:
    """And forged calls do not make us ask more often than that."""
    await ring.keys()
    publisher.content = jwks(X, key(1))
    for second in (1, 30, 59):
        publisher.clock = second
        assert len(await ring.newer_keys()) == 1
    publisher.clock = 61
    assert len(await ring.newer_keys()) == 2
    assert publisher.asked == 2


async def test_old_keys_serve_while_fal_gives_none(ring: KeyRing, publisher: Publisher) -> None:
    await ring.keys()
    publisher.status, publisher.clock = 503, 25 * 3600
    assert len(await ring.keys()) == 1


async def test_without_any_key_a_call_can_come_again(ring: KeyRing, publisher: Publisher) -> None:
    """But fal is asked once a minute only, and nobody waits for it in the meantime."""
    publisher.status = 503
    for second in (0, 1, 59):
        publisher.clock = second
        with pytest.raises(Transient):
            await ring.keys()
    assert publisher.asked == 1
    publisher.status, publisher.clock = 200, 61
    assert len(await ring.keys()) == 1


async def test_a_key_set_over_the_cap_is_not_read(ring: KeyRing, publisher: Publisher) -> None:
    publisher.content = b" " * (64 * 1024 + 1)
    with pytest.raises(Transient):
        await ring.keys()
