"""moto for the archive's contract; the real S3 server is the session's `weed`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_numbers = itertools.count(1)


class Moto:
    """S3 in this process: quick, but it accepts any key, any signature and any hash."""

    access_key = "reelbatch"
    secret_key = "moto-takes-any"

    def __init__(self, endpoint_url: str) -> None:
        self.endpoint_url = endpoint_url
        self.environment = {
            "AWS_ENDPOINT_URL_S3": endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    @cached_property
    def client(self) -> S3Client:
        import boto3.session

        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )

    def new_bucket(self) -> str:
        name = f"moto-{next(_numbers)}"
        self.client.create_bucket(Bucket=name)
        return name


@pytest.fixture(scope="session")
def moto_s3() -> Iterator[Moto]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield Moto(f"http://127.0.0.1:{port}")
    server.stop()
