"""fal's webhook calls: who signed them, and what they say (fal.md, section 7).

The signature is Ed25519 over four lines: request id, user id, timestamp and the hex sha256 of
the raw body. Nothing of a call is believed before it is verified.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FRESH_SECONDS = 300
PREFIX = "x-fal-webhook-"


class Forged(Exception):
    """The call is not fal's, or not of now; the reason is for our own log."""


class Unreadable(Exception):
    """It is fal's, and nothing we can use."""


@dataclass(frozen=True, kw_only=True)
class Signed:
    """What a call says of itself in its headers."""

    request_id: str
    user_id: str
    timestamp: str
    signature: bytes

    def message(self, body: bytes) -> bytes:
        digest = hashlib.sha256(body).hexdigest()
        return "\n".join((self.request_id, self.user_id, self.timestamp, digest)).encode()


@dataclass(frozen=True, kw_only=True)
class WebhookCall:
    """A verified call: one request came to its end.

    `payload` is the result of a good one, as `GET response_url` would give it; None where it
    has to be fetched.
    """

    request_id: str
    user_id: str
    ok: bool
    payload: Mapping[str, Any] | None


def signed(headers: Mapping[str, str], *, now: float) -> Signed:
    """Raises Forged for headers that are missing, malformed or more than 5 minutes off."""
    try:
        call = Signed(
            request_id=headers[f"{PREFIX}request-id"],
            user_id=headers[f"{PREFIX}user-id"],
            timestamp=headers[f"{PREFIX}timestamp"],
            signature=bytes.fromhex(headers[f"{PREFIX}signature"]),
        )
        age = abs(now - int(call.timestamp))
    except KeyError as missing:
        raise Forged(f"it has no header {missing}") from None
    except (ValueError, OverflowError):
        raise Forged("its signature or timestamp is malformed") from None
    if age > FRESH_SECONDS:
        raise Forged(f"its timestamp is {age:.0f} s off")
    return call


def is_signed_by(keys: Iterable[Ed25519PublicKey], call: Signed, body: bytes) -> bool:
    """Headers name no key, so every one is tried."""
    message = call.message(body)
    return any(_verifies(key, call.signature, message) for key in keys)


def _verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def read_call(call: Signed, body: bytes) -> WebhookCall:
    """Raises Unreadable for a body that is no JSON object, Forged for one of another request."""
    try:
        content = json.loads(body)
    except ValueError:
        raise Unreadable("the body is no JSON") from None
    if not isinstance(content, dict):
        raise Unreadable("the body is no JSON object")
    if content.get("request_id") != call.request_id:
        raise Forged("header and body name different requests")
    payload = content.get("payload")
    ok = content.get("status") == "OK"
    good = ok and isinstance(payload, dict)
    return WebhookCall(
        request_id=call.request_id,
        user_id=call.user_id,
        ok=ok,
        payload=payload if good else None,
    )
