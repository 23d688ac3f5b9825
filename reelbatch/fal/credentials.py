"""The key, and the only hosts that may see it: the four of the settings.

A URL from an answer, a webhook or the ledger is refused before a byte leaves, unless it
lies on one of them.
"""

from __future__ import annotations

import re

import httpx

from reelbatch.config import Settings
from reelbatch.errors import Permanent, Refused

Origin = tuple[str, str, int | None]

_WRITABLE = re.compile(r"[\x21-\x7e]*")
_PLAIN = re.compile(r"[\x21-\x7e]{1,1000}")
_SECRET_LENGTH = 16
"""Shorter parts of a key are words; taking them out of answers would spoil those."""


class Credentials:
    """What a request to fal carries, and where it may go."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.fal_key
        self._origins = frozenset(_origin(httpx.URL(url)) for url in _urls(settings))
        self._queue = _origin(httpx.URL(settings.fal_queue_url))
        self._below_queue = f"{settings.fal_queue_url}/"
        whole = self._key.get_secret_value() if self._key else ""
        if not _WRITABLE.fullmatch(whole):
            raise Refused("FAL_KEY holds characters that no key has.", advice="Copy it again.")
        parts = (whole, whole.partition(":")[2])
        self._secrets = tuple(part.encode() for part in parts if len(part) >= _SECRET_LENGTH)

    @property
    def headers(self) -> dict[str, str]:
        return {} if self._key is None else {"Authorization": f"Key {self._key.get_secret_value()}"}

    @property
    def is_missing(self) -> bool:
        return self._key is None

    def own(self, url: str) -> httpx.URL:
        """The URL, read. Raises Permanent (`foreign_url`) if it is not on our hosts."""
        target = _read(url)
        if target is None or _origin(target) not in self._origins:
            raise Permanent(
                f"{target.host if target else 'A URL'} is none of the configured fal hosts.",
                advice="The key is sent to those only. Check the REELBATCH_FAL_* settings.",
                error="foreign_url",
            )
        return target

    def is_queue_url(self, url: object) -> bool:
        """Whether this URL from an answer lies on the configured queue host."""
        if not isinstance(url, str):
            return False
        if url.startswith(self._below_queue) and _PLAIN.fullmatch(url):
            return True  # Nothing behind the slash leads elsewhere.
        target = _read(url)
        return target is not None and _origin(target) == self._queue

    def without_key(self, body: bytes) -> bytes:
        """A gateway may repeat what it was sent; the key must not get into our records."""
        for secret in self._secrets:
            if secret in body:
                body = body.replace(secret, b"[key]")
        return body


def _read(url: str) -> httpx.URL | None:
    """The URL as httpx will read it; None with credentials in it, which would replace ours."""
    try:
        target = httpx.URL(url)
    except httpx.InvalidURL:
        return None
    return None if target.userinfo else target


def _origin(url: httpx.URL) -> Origin:
    """httpx leaves out a scheme's own port, so equal origins compare equal."""
    return url.scheme, url.host, url.port


def _urls(settings: Settings) -> tuple[str, ...]:
    return (
        settings.fal_queue_url,
        settings.fal_rest_url,
        settings.fal_cdn_url,
        settings.fal_api_url,
    )
