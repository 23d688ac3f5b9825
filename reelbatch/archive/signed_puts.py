"""S3's PUT in the event loop, signed by botocore: a third of what boto3 takes in a thread.

It is for the plain case only. Whatever is not a plain 200 is left to boto3, which knows all the
other answers; where only boto3 knows the way, through a proxy for instance, this is not used.
"""

from __future__ import annotations

import asyncio
import base64
import io
import os
import ssl
import urllib.request
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
import certifi
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import BotoCoreError
from yarl import URL

from reelbatch.archive.contract import Archive
from reelbatch.archive.s3 import S3Archive

IN_A_ROW = 3
"""After so many puts that boto3 had to make, it makes all of them."""
CONNECT_SECONDS = 5
ANSWER_SECONDS = 60
SLOWEST_BYTES_PER_SECOND = 100_000
AT_ONCE_BYTES = 1_000_000
"""aiohttp writes larger bodies piece by piece."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where a bucket's objects are put, and what signatures are made for."""

    url: str
    """Ends with a slash; an object's name follows."""
    region: str
    credentials: Credentials
    tls: ssl.SSLContext


class SignedPuts:
    """One pool of connections to one bucket; an async context."""

    def __init__(self, archive: S3Archive, door: Door) -> None:
        self._archive = archive
        self._door = door
        self._in_vain = 0

    async def __aenter__(self) -> SignedPuts:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._door.tls, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def put(
        self, key: str, content: bytes, *, sha256: str, content_type: str, once: bool
    ) -> bool:
        """Whether S3 has it now for certain; if not, it may have, and boto3 has to see to it.

        `sha256` is hexadecimal; `once`: only where nothing lies under this key.
        """
        if self._in_vain >= IN_A_ROW:
            return False
        headers = {
            "Content-Type": content_type,
            "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode(),
            **({"If-None-Match": "*"} if once else {}),
        }
        url = self._door.url + quote(self._archive.name_of(key), safe="/~")
        try:
            status = await self._send(url, content, await self._signed(url, headers))
        except (aiohttp.ClientError, OSError, BotoCoreError):
            status = None
        self._in_vain = 0 if status in (200, 412) else self._in_vain + 1
        return status == 200

    async def _signed(self, url: str, headers: dict[str, str]) -> dict[str, str]:
        """The headers, with those that prove who we are."""
        credentials = self._door.credentials
        if isinstance(credentials, RefreshableCredentials) and credentials.refresh_needed():
            await asyncio.to_thread(credentials.get_frozen_credentials)
        request = AWSRequest("PUT", url, headers=headers)
        signer = _Signer(credentials.get_frozen_credentials(), "s3", self._door.region)
        signer.add_auth(request)
        return dict(request.headers.items())

    async def _send(self, url: str, content: bytes, headers: dict[str, str]) -> int:
        silence = ANSWER_SECONDS + len(content) / SLOWEST_BYTES_PER_SECOND
        patience = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=silence)
        body = content if len(content) <= AT_ONCE_BYTES else io.BytesIO(content)
        async with self._session.put(
            URL(url, encoded=True),
            data=body,
            headers=headers,
            allow_redirects=False,
            timeout=patience,
        ) as answer:
            return answer.status


class _Signer(S3SigV4Auth):
    """As boto3 with `payload_signing_enabled=False`: S3 checks the bytes by their checksum."""

    def payload(self, request: AWSRequest) -> str:
        return "UNSIGNED-PAYLOAD"


def puts_for(archive: Archive) -> SignedPuts | None:
    """None where this is no bucket, or only boto3 knows the way."""
    if not isinstance(archive, S3Archive) or archive.credentials is None:
        return None
    link = archive.client.generate_presigned_url(
        "put_object", Params={"Bucket": archive.bucket, "Key": "x"}
    )
    parts = urlsplit(link)
    scope = parse_qs(parts.query).get("X-Amz-Credential", [""])[0].split("/")
    if scope[3:] != ["s3", "aws4_request"] or _has_proxy(parts.scheme, parts.hostname or ""):
        return None
    try:
        tls = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or certifi.where())
    except OSError:
        return None
    url = f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix('x')}"
    door = Door(url=url, region=scope[2], credentials=archive.credentials, tls=tls)
    return SignedPuts(archive, door)


def _has_proxy(scheme: str, host: str) -> bool:
    proxies = urllib.request.getproxies()
    named = scheme in proxies or "all" in proxies
    return named and not urllib.request.proxy_bypass(host)
