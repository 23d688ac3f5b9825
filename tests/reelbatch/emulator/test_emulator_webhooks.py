"""Webhooks: signed as fal signs, delivered at least once, and broken on demand."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from reelbatch.emulator.webhooks import signature

if TYPE_CHECKING:
    from tests.reelbatch.emulator.conftest import Emulated, Received, Receiver


def key_of(emulator: Emulated) -> Ed25519PublicKey:
    (jwk,) = httpx.get(emulator.urls["jwks_url"]).json()["keys"]
    padded = jwk["x"] + "=" * (-len(jwk["x"]) % 4)
    return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(padded))


def verify(emulator: Emulated, call: Received) -> None:
    """Raises InvalidSignature."""
    names = ("request-id", "user-id", "timestamp")
    lines = [call.headers[f"x-fal-webhook-{name}"] for name in names]
    message = "\n".join([*lines, hashlib.sha256(call.body).hexdigest()]).encode()
    key_of(emulator).verify(bytes.fromhex(call.headers["x-fal-webhook-signature"]), message)


def test_the_signature_is_that_of_the_contracts_own_example() -> None:
    """fal.md, section 7."""
    request_id = "019e6d0a-e5be-7b82-b329-35ae64296902"
    body = (
        f'{{"request_id":"{request_id}","gateway_request_id":"{request_id}","status":"OK",'
        '"payload":{"video":{"url":"https://v3b.fal.media/files/b/0a9b4900/out.mp4"},"seed":7}}'
    ).encode()
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    assert signature(key, request_id, "user_123", "1763700000", body) == (
        "0cc6d08880be73915d352b70bbcc765d0e8c91054c7b95d09eefc465fe60ad5b"
        "f7ca169291ff885e38ad3f13013060692a7bf964c38024c5c817689a70ed1e0d"
    )


def test_a_good_result_is_delivered_signed_to_the_url_as_given(
    emulator: Emulated, receiver: Receiver
) -> None:
    submitted = emulator.submit(webhook=receiver.url)
    call = receiver.next()
    verify(emulator, call)
    assert call.headers["x-fal-webhook-request-id"] == submitted["request_id"]
    assert abs(time.time() - int(call.headers["x-fal-webhook-timestamp"])) < 60
    assert call.json["status"] == "OK"
    assert call.json["payload"] == emulator.result(submitted).json()


def test_a_refusal_is_delivered_with_the_models_own_body(
    emulator: Emulated, receiver: Receiver
) -> None:
    emulator.submit(num_inference_steps=0, webhook=receiver.url)
    call = receiver.next().json
    assert (call["status"], call["error"]) == ("ERROR", "Invalid status code: 422")
    assert call["payload"]["detail"][0]["loc"] == ["body", "num_inference_steps"]


def test_a_missed_start_is_delivered_as_a_504(emulator: Emulated, receiver: Receiver) -> None:
    emulator.break_("stuck")
    emulator.submit(webhook=receiver.url, headers={"X-Fal-Request-Start-Timeout": "0.1"})
    call = receiver.next().json
    assert (call["error"], call["payload"]["error_type"]) == (
        "Invalid status code: 504",
        "request_timeout",
    )


def test_it_is_tried_again_until_somebody_takes_it(emulator: Emulated, receiver: Receiver) -> None:
    """Both 4xx and 5xx are retried; each attempt is signed anew."""
    emulator.set(webhook_retry_seconds=0.01)
    receiver.answers = [500, 404, 200]
    emulator.submit(webhook=receiver.url)
    calls = [receiver.next() for _ in range(3)]
    for call in calls:
        verify(emulator, call)
    assert len({call.json["request_id"] for call in calls}) == 1


def test_a_redirect_is_the_end_of_it(emulator: Emulated, receiver: Receiver) -> None:
    emulator.set(webhook_retry_seconds=0.01)
    receiver.answers = [308]
    emulator.submit("redirected", webhook=receiver.url)
    receiver.next()
    emulator.submit("another", webhook=receiver.url)
    receiver.next()
    assert receiver.calls.empty()


def test_private_addresses_are_dropped_when_asked_as_fal_does(
    emulator: Emulated, receiver: Receiver
) -> None:
    emulator.set(drop_private_webhooks=True)
    emulator.break_("answer_after_webhook")
    emulator.submit(webhook=receiver.url)
    assert emulator.state()["webhooks"] == {"dropped": 1}
    assert receiver.calls.empty()


def test_a_webhook_can_come_before_the_answer_to_its_submission(
    emulator: Emulated, receiver: Receiver
) -> None:
    emulator.break_("answer_after_webhook")
    submitted = emulator.submit(webhook=receiver.url)
    assert receiver.next().json["request_id"] == submitted["request_id"]


def test_it_can_come_twice(emulator: Emulated, receiver: Receiver) -> None:
    emulator.break_("duplicate_webhook")
    emulator.submit(webhook=receiver.url)
    assert receiver.next().body == receiver.next().body


@pytest.mark.parametrize("fault", ["bad_signature", "tampered_body"])
def test_it_can_be_forged(emulator: Emulated, receiver: Receiver, fault: str) -> None:
    emulator.break_(fault)
    emulator.submit(webhook=receiver.url)
    call = receiver.next()
    assert call.json["status"] == "OK"
    with pytest.raises(InvalidSignature):
        verify(emulator, call)


def test_it_can_be_well_signed_and_stale(emulator: Emulated, receiver: Receiver) -> None:
    emulator.break_("stale_timestamp", with_={"seconds": 600})
    emulator.submit(webhook=receiver.url)
    call = receiver.next()
    verify(emulator, call)
    assert time.time() - int(call.headers["x-fal-webhook-timestamp"]) > 590


@pytest.mark.parametrize(
    ("fault", "field", "value"),
    [("null_payload", "payload", None), ("late_webhook", "status", "OK")],
)
def test_it_can_be_empty_or_late(
    emulator: Emulated, receiver: Receiver, fault: str, field: str, value: Any
) -> None:
    emulator.break_(fault, with_={"seconds": 0.05} if fault == "late_webhook" else {})
    emulator.submit(webhook=receiver.url)
    assert receiver.next().json[field] == value


def test_it_can_be_lost(emulator: Emulated, receiver: Receiver) -> None:
    emulator.break_("lost_webhook")
    emulator.break_("answer_after_webhook")
    emulator.submit(webhook=receiver.url)
    assert emulator.state()["webhooks"] == {"lost": 1}
