"""An archive in S3, or in anything that speaks it: each put is conditional and checked by hash.

The settings are measured (storage_media.md, section 2): 3.5 times less CPU than the defaults.
An answer that was lost is not believed either way; what lies under the key decides.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from reelbatch.archive.contract import SCRATCH, KeyTaken, Stored
from reelbatch.archive.keys import checked
from reelbatch.archive.s3_faults import (
    Fault,
    fault,
    is_denied,
    is_missing,
    no_credentials,
    read_code,
)
from reelbatch.errors import Permanent, Refused, Transient
from reelbatch.urls import without_query

if TYPE_CHECKING:
    import boto3.session
    from botocore.credentials import Credentials
    from botocore.loaders import Loader
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

ATTEMPTS = 8
CONSOLE = "console.aws.amazon.com"
BUCKET_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


class S3Archive:
    """Objects below one prefix of one bucket."""

    def __init__(
        self, client: S3Client, bucket: str, prefix: str, *, credentials: Credentials | None = None
    ) -> None:
        self.client = client
        self.bucket = bucket
        self.prefix = prefix
        self.credentials = credentials

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def uri_of(self, key: str) -> str:
        return f"s3://{self.bucket}/{self.name_of(key)}"

    def describe(self) -> str:
        endpoint = self._endpoint
        return self.uri if _is_aws(endpoint) else f"{self.uri} at {endpoint}"

    def page_of(self, key: str) -> str | None:
        """Amazon's console; other stores have none, or we do not know it."""
        if not _is_aws(self._endpoint):
            return None
        console = "console.amazonaws.cn" if self._endpoint.endswith(".cn") else CONSOLE
        return f"https://{console}/s3/buckets/{self.bucket}?prefix={quote(self.name_of(key))}/"

    def put_once(self, key: str, content: bytes, *, sha256: str, content_type: str) -> Stored:
        try:
            self.client.put_object(
                Bucket=self.bucket,
                Key=self.name_of(key),
                Body=content,
                ContentType=content_type,
                ChecksumSHA256=_in_base64(sha256),
                IfNoneMatch="*",
            )
        except (ClientError, BotoCoreError) as error:
            self._settle(key, sha256, error)
            return Stored(key=key, uri=self.uri_of(key), already=True)
        return Stored(key=key, uri=self.uri_of(key))

    def put(self, key: str, content: bytes, content_type: str) -> None:
        try:
            self.client.put_object(
                Bucket=self.bucket,
                Key=self.name_of(key),
                Body=content,
                ContentType=content_type,
                ChecksumSHA256=_in_base64(hashlib.sha256(content).hexdigest()),
            )
        except (ClientError, BotoCoreError) as error:
            raise self._fault(error) from error

    def read(self, key: str) -> bytes | None:
        try:
            return self._get(key)
        except (ClientError, BotoCoreError) as error:
            if is_missing(error) or is_denied(error):
                return None
            raise self._fault(error) from error

    def holds(self, key: str, sha256: str) -> bool:
        return self._kept_sha256(key) == sha256

    def take_away_scratch(self, name: str) -> bool:
        try:
            self.client.delete_object(Bucket=self.bucket, Key=self.name_of(f"{SCRATCH}/{name}"))
        except (ClientError, BotoCoreError):
            return False
        return True

    def take_away_unfinished(self, below: str) -> int:
        return 0

    def probe(self) -> None:
        self.read("reelbatch-probe")

    def _settle(self, key: str, sha256: str, error: ClientError | BotoCoreError) -> None:
        """Return where the bytes lie there after all; else raise what the failed put means."""
        meant = self._fault(error)
        taken = read_code(error) in ("PreconditionFailed", "412")
        if not taken and isinstance(meant, Permanent):
            raise meant from error
        try:
            kept = self._kept_sha256(key)
        except (Transient, Permanent) as later:
            raise (later if taken else meant) from error
        if kept == sha256:
            return
        if kept is not None:
            raise KeyTaken(self.uri_of(key)) from error
        raise (self._unreadable(key) if taken else meant) from error

    def _kept_sha256(self, key: str) -> str | None:
        """The hash of what lies there: by HEAD's checksum, else by reading it."""
        try:
            head = self.client.head_object(
                Bucket=self.bucket, Key=self.name_of(key), ChecksumMode="ENABLED"
            )
        except ClientError as error:
            if is_missing(error):
                return None
            # HEAD may be forbidden, and its answers have no body that says why: ask with GET.
        except BotoCoreError as error:
            raise self._fault(error) from error
        else:
            if known := _checksum(head):
                return known
        content = self.read(key)
        return None if content is None else hashlib.sha256(content).hexdigest()

    def _get(self, key: str) -> bytes:
        answer = self.client.get_object(Bucket=self.bucket, Key=self.name_of(key))
        # Entering the body itself gives the bare stream, which checks no length.
        with closing(answer["Body"]) as body:
            return body.read()

    def name_of(self, key: str) -> str:
        """The object's whole name. Raises Permanent for a key that must not be used."""
        return f"{self.prefix}/{checked(key)}" if self.prefix else checked(key)

    @property
    def _endpoint(self) -> str:
        return without_query(self.client.meta.endpoint_url)

    def _fault(self, error: ClientError | BotoCoreError) -> Fault:
        return fault(error, uri=self.uri, bucket=self.bucket, endpoint=self._endpoint)

    def _unreadable(self, key: str) -> Permanent:
        return Permanent(
            f"{self.uri_of(key)} is there already, but may not be read to compare.",
            advice="Allow s3:GetObject below the prefix, besides s3:PutObject.",
            error="archive_refused",
        )


def connect(uri: str, *, pool_size: int) -> S3Archive:
    """The archive of an `s3://bucket/prefix`, with boto3's own settings (AWS_*). Raises Refused."""
    bucket, prefix = _bucket_and_prefix(uri)
    try:
        session = _session()
        credentials = session.get_credentials()
        if credentials is None:
            raise no_credentials(uri)
        return S3Archive(_client(session, pool_size), bucket, prefix, credentials=credentials)
    except (BotoCoreError, ValueError) as error:
        raise Refused(
            f"boto3 cannot be set up for {uri}: {type(error).__name__}.",
            advice="Check the AWS_* variables and ~/.aws.",
        ) from error


def _session() -> boto3.session.Session:
    """One of its own, for the environment may have changed; what botocore knows of S3 is shared."""
    import boto3.session
    import botocore.session

    core = botocore.session.get_session()
    core.register_component("data_loader", _loader(core.get_config_variable("data_path")))
    return boto3.session.Session(botocore_session=core)


@cache
def _loader(data_path: str | None) -> Loader:
    """A megabyte of JSON, which every other session reads anew."""
    from botocore.loaders import create_loader

    return create_loader(data_path)


def _bucket_and_prefix(uri: str) -> tuple[str, str]:
    bucket, _, prefix = uri.partition("://")[2].partition("/")
    prefix = prefix.strip("/")
    if not bucket or not set(bucket) <= BUCKET_LETTERS:
        raise Refused("The archive's URI names no bucket.", advice="Write s3://bucket/prefix.")
    try:
        return bucket, checked(prefix) if prefix else ""
    except Permanent as error:
        raise Refused(error.message, advice="Write s3://bucket/prefix.") from error


def _client(session: boto3.session.Session, pool_size: int) -> S3Client:
    """Path style wherever the endpoint is not Amazon's: there, buckets are seldom host names."""
    client = _client_with(session, pool_size, path_style=False)
    if _is_aws(client.meta.endpoint_url):
        return client
    return _client_with(session, pool_size, path_style=True)


def _client_with(session: boto3.session.Session, pool_size: int, *, path_style: bool) -> S3Client:
    from botocore.config import Config

    config = Config(
        max_pool_connections=pool_size,
        connect_timeout=5,
        read_timeout=60,
        signature_version="s3v4",
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={
            "addressing_style": "path" if path_style else "auto",
            "payload_signing_enabled": False,
        },
        tcp_keepalive=True,
    )
    return session.client("s3", config=config)


def _is_aws(endpoint: str) -> bool:
    return (urlsplit(endpoint).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _in_base64(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def _checksum(head: HeadObjectOutputTypeDef) -> str | None:
    """The whole object's hash; one made of parts (`..-3`) says nothing about the bytes."""
    try:
        digest = base64.b64decode(head.get("ChecksumSHA256", ""), validate=True)
    except binascii.Error:
        return None
    return digest.hex() if len(digest) == 32 else None
