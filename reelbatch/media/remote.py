"""Read one object from S3 or the web, and never more of it than a cap.

Every way it can fail is a Permanent or a Transient with a sentence.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

from reelbatch.config import Settings, is_loopback
from reelbatch.errors import Permanent, Transient

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

CHUNK_BYTES = 1024 * 1024
FAL_MEDIA = ("fal.media", "*.fal.media")

_FORBIDDEN = frozenset({"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch"})
_MISSING = frozenset({"NoSuchKey", "NoSuchBucket", "404"})


class Page(Protocol):
    """What a download brings home."""

    @property
    def content(self) -> bytes: ...


class Web(Protocol):
    """The guarded downloader, or a stand-in for it."""

    def get(self, url: str, *, cap_bytes: int) -> Page: ...


class Remote:
    """The two places outside this machine, reached for when first needed. Safe in threads."""

    def __init__(self, reach_web: Callable[[], Web]) -> None:
        self._reach_web = reach_web
        self._web: Web | None = None
        self._s3: S3Client | None = None
        self._connecting = threading.Lock()

    def read(self, location: str, *, cap_bytes: int) -> bytes:
        """The bytes at an `s3://` or `https://` location. Raises Permanent or Transient."""
        if location.startswith("s3://"):
            return self._object(location, cap_bytes)
        return self._downloads().get(location, cap_bytes=cap_bytes).content

    def _downloads(self) -> Web:
        with self._connecting:
            self._web = self._web or self._reach_web()
            return self._web

    def _object(self, location: str, cap_bytes: int) -> bytes:
        from botocore.exceptions import BotoCoreError, ClientError

        bucket, key = bucket_and_key(location)
        try:
            answer = self._client().get_object(Bucket=bucket, Key=key)
            # Entering the body itself gives the bare stream, which checks no length.
            with closing(answer["Body"]) as body:
                return _capped(body, location, answer.get("ContentLength", 0), cap_bytes)
        except ClientError as error:
            raise _refusal(location, error.response.get("Error", {})) from error
        except BotoCoreError as error:
            raise _connection(location, error) from error

    def _client(self) -> S3Client:
        import boto3
        from botocore.config import Config

        with self._connecting:
            if self._s3 is None:
                self._s3 = boto3.client("s3", config=Config(max_pool_connections=16))
            return self._s3


def remote_for(settings: Settings) -> Remote:
    """The outside world; fal's media hosts are those of an emulator where the settings have one."""

    def downloader() -> Web:
        from reelbatch.media.download import Downloader
        from reelbatch.media.fetch import Fetcher

        hosts = FAL_MEDIA if is_loopback(settings.fal_cdn_url) else ()
        return Downloader(partial(Fetcher, rewrite=dict.fromkeys(hosts, settings.fal_cdn_url)))

    return Remote(downloader)


def _capped(body: StreamingBody, location: str, announced: int, cap_bytes: int) -> bytes:
    """All of it, whatever was announced, or nothing."""
    if announced > cap_bytes:
        raise too_large(location, announced, cap_bytes)
    content = bytearray()
    while chunk := body.read(CHUNK_BYTES):  # The empty one at the end checks the length.
        content += chunk
        if len(content) > cap_bytes:
            raise too_large(location, len(content), cap_bytes)
    return bytes(content)


def bucket_and_key(location: str) -> tuple[str, str]:
    """`s3://bucket/some/key` in its two parts. Raises Permanent without a key."""
    bucket, _, key = location.removeprefix("s3://").partition("/")
    if not bucket or not key or key.endswith("/"):
        raise Permanent(
            f"{location} names no object.",
            advice="Write s3://bucket/key.",
            error="missing",
        )
    return bucket, key


def too_large(what: str, size: int, cap_bytes: int) -> Permanent:
    return Permanent(
        f"{what} has {megabytes(size)}; {megabytes(cap_bytes)} is the most.",
        error="too_large",
    )


def megabytes(size: int) -> str:
    """A size as people say it: `1 MB`, `99.5 MB`."""
    return f"{size / 1024**2:.1f}".removesuffix(".0") + " MB"


def file_name(location: str) -> str:
    """The last part of a path or URL."""
    path = unquote(urlsplit(location).path) if "://" in location else location
    return path.rstrip("/").rpartition("/")[2]


def _refusal(location: str, error: Any) -> Permanent | Transient:
    code = error.get("Code", "")
    if code in _MISSING:
        return Permanent(f"{location} does not exist.", advice="Check its name.", error="missing")
    if code in _FORBIDDEN:
        return Permanent(
            f"S3 does not let us read {location} ({code}).",
            advice="Check the AWS credentials and the bucket's policy.",
            error="forbidden",
        )
    return Transient(f"S3 answered {code or 'an error'} for {location}.", advice="Try again.")


def _connection(location: str, error: Exception) -> Permanent | Transient:
    from botocore.exceptions import NoCredentialsError, PartialCredentialsError

    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return Permanent(
            f"There are no AWS credentials to read {location} with.",
            advice="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile.",
            error="forbidden",
        )
    # Its words may hold an endpoint with a password, or what a credential program said.
    reason = type(error).__name__
    return Transient(f"{location} could not be read ({reason}).", advice="Try again.")
