"""A real S3 server for the whole session, and buckets that nobody else uses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import pytest

from reelbatch.cli.s3_server import LocalS3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_numbers = itertools.count(1)


class Weed:
    """SeaweedFS. It checks what a caller signs and hashes; moto does not."""

    def __init__(self, server: LocalS3) -> None:
        self.endpoint_url = server.endpoint_url
        self.access_key = server.access_key
        self.secret_key = server.secret_key
        self.environment = server.environment
        """AWS_* variables for a process, or for monkeypatch."""
        self.client: S3Client = server.client
        self.process = server.child.process

    @cached_property
    def bucket(self) -> str:
        """One for those who keep to a prefix of their own."""
        return self.new_bucket()

    def new_bucket(self) -> str:
        name = f"reels-{next(_numbers)}"
        self.client.create_bucket(Bucket=name)
        return name

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """Every key, sorted."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return sorted(found["Key"] for page in pages for found in page.get("Contents", []))

    def read(self, bucket: str, key: str) -> bytes:
        return self.client.get_object(Bucket=bucket, Key=key)["Body"].read()


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weed]:
    server = LocalS3.start(tmp_path_factory.mktemp("weed"))
    yield Weed(server)
    server.stop()
