"""The keys fal signs its webhooks with: fetched once a day, and when none of them fits."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from reelbatch.errors import Transient

KEPT_SECONDS = 24 * 3600.0
"""fal allows no longer (fal.md, section 7)."""
REFETCH_SECONDS = 60.0
"""Forged calls must not make us hammer fal."""
CAP_BYTES = 64 * 1024


log = logging.getLogger("reelbatch.serve")


class KeyRing:
    """fal's public keys. Nothing of ours is sent along."""

    def __init__(
        self, url: str, http: httpx.AsyncClient, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._http = http
        self._clock = clock
        self._keys: list[Ed25519PublicKey] = []
        self._asked_at: float | None = None
        self._lock = asyncio.Lock()

    async def keys(self) -> list[Ed25519PublicKey]:
        """Raises Transient when there are none and fal does not give any."""
        if not self._keys or self._age() > KEPT_SECONDS:
            await self._refetch()
        if not self._keys:
            raise Transient("fal's webhook keys cannot be read now.")
        return self._keys

    async def newer_keys(self) -> list[Ed25519PublicKey]:
        """When no key fits: perhaps fal has changed them. At most once a minute."""
        await self._refetch()
        return self._keys

    def _age(self) -> float:
        return float("inf") if self._asked_at is None else self._clock() - self._asked_at

    async def _refetch(self) -> None:
        """Calls that come while the keys are being asked for wait for the answer, too."""
        async with self._lock:
            if self._age() < REFETCH_SECONDS:
                return
            try:
                self._keys = keys_in(await self._read())
            except (httpx.HTTPError, ValueError) as error:
                log.warning("fal's webhook keys cannot be read: %s %s", type(error).__name__, error)
            finally:
                self._asked_at = self._clock()

    async def _read(self) -> bytes:
        async with self._http.stream("GET", self._url) as answer:
            answer.raise_for_status()
            content = bytearray()
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > CAP_BYTES:
                    raise ValueError("they are larger than 64 KB")
        return bytes(content)


def keys_in(content: bytes) -> list[Ed25519PublicKey]:
    """Every usable Ed25519 key of a JWKS; only `x` is promised. Raises ValueError for none."""
    document: Any = json.loads(content)
    entries = document.get("keys") if isinstance(document, dict) else None
    found = [
        _key(entry["x"]) for entry in entries or [] if isinstance(entry, dict) and "x" in entry
    ]
    keys = [key for key in found if key is not None]
    if not keys:
        raise ValueError("there is no Ed25519 key among them")
    return keys


def _key(x: object) -> Ed25519PublicKey | None:
    """base64url without its padding, which fal's own sample forgets."""
    try:
        text = str(x)
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return Ed25519PublicKey.from_public_bytes(raw)
    except (binascii.Error, ValueError):
        return None
