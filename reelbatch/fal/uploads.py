"""Images to fal's CDN, through fal-client's own code.

Only its `fal_v3` way is used: its fallback would send the key to whatever URL an answer
names, and hide the first error behind a second.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from reelbatch.config import Settings
from reelbatch.errors import ReelbatchError, Transient
from reelbatch.fal.constants import point_fal_client
from reelbatch.fal.credentials import Credentials
from reelbatch.fal.error_types import Family
from reelbatch.fal.failures import PermanentFailure, classify, failure_of
from reelbatch.fal.retry_after import retry_after_seconds

if TYPE_CHECKING:
    from fal_client import AsyncClient

GIVEN_UP_SECONDS = 300.0
UNREADABLE = (httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError, TypeError)
TRY_AGAIN = {Family.TRANSIENT, Family.THROTTLED, Family.FLAKE}


class Uploads:
    """fal-client's uploader for one event loop: it keeps a token and connections of that loop."""

    def __init__(self, settings: Settings, credentials: Credentials) -> None:
        self._settings = settings
        self._credentials = credentials
        self._client: AsyncClient | None = None

    async def upload(self, content: bytes, content_type: str, file_name: str) -> str:
        """The public URL of the content. Raises Transient, or Permanent (locked, auth, ...)."""
        client = self._ready()
        try:
            async with asyncio.timeout(GIVEN_UP_SECONDS):
                url = await client.upload(
                    content,
                    content_type,
                    _header_safe(file_name),
                    repository="fal_v3",
                    fallback_repository=[],
                )
        except TimeoutError as error:
            raise Transient("The upload to fal took too long.") from error
        except Exception as error:
            raise self._translated(error) from None  # its words may repeat the key
        return _usable(url)

    def _translated(self, error: Exception) -> Exception:
        """fal-client raises its own, httpx's, and Python's for answers it cannot read."""
        response = getattr(error, "response", None)
        if isinstance(response, httpx.Response):
            return _refused(response, self._credentials.without_key(response.content))
        if isinstance(error, UNREADABLE):
            return Transient(f"The upload to fal failed ({type(error).__name__}).")
        return error

    def _ready(self) -> AsyncClient:
        """fal_client reads the environment when it is imported: late, and told everything."""
        if self._client is None:
            if self._settings.fal_key is None:
                failure = failure_of("no_key")
                raise PermanentFailure(failure.message, failure)
            import fal_client.client

            point_fal_client(fal_client.client, self._settings)
            self._client = fal_client.AsyncClient(key=self._settings.fal_key.get_secret_value())
        return self._client


def _refused(response: httpx.Response, body: bytes) -> ReelbatchError:
    failure = classify(response.status_code, response.headers, body)
    message = f"fal did not take the upload: {failure.message}"
    if failure.family in TRY_AGAIN:
        header, date = response.headers.get("retry-after"), response.headers.get("date")
        return Transient(message, retry_after=retry_after_seconds(header, date))
    return PermanentFailure(message, failure)


def _header_safe(file_name: str) -> str:
    """The name travels in a header: ASCII only, and its end is what matters."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", file_name)[-100:] or "image"


def _usable(url: object) -> str:
    if isinstance(url, str) and urlsplit(url).scheme in ("http", "https"):
        return url
    raise Transient("fal took the upload and gave no URL for it.")
