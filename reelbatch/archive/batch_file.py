"""`{batch}/batch.json`: whose batch this is, which manifests made it, and how it stands.

It carries the ledger's id: only that ledger knows what was paid, so any other one is stopped
before it submits.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer, ValidationError

from reelbatch.archive.contract import Archive, KeyTaken
from reelbatch.archive.keys import plain
from reelbatch.errors import Refused
from reelbatch.jobs import BatchId
from reelbatch.money import as_text
from reelbatch.urls import without_query

SCHEMA_VERSION: Literal[1] = 1
JSON_TYPE = "application/json"


class BatchFile(BaseModel):
    """`place` is where the manifest lies, `manifests` the keys of its kept versions."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal[1] = SCHEMA_VERSION
    batch: BatchId
    place: str
    ledger_id: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    manifests: tuple[str, ...]
    counts: dict[str, int]
    spent_usd: Annotated[Decimal, PlainSerializer(as_text, return_type=str)]

    def render(self) -> bytes:
        return self.model_dump_json(indent=2).encode() + b"\n"


def batch_file_key(batch: BatchId) -> str:
    return f"{batch}/batch.json"


def manifest_key(batch: BatchId, content: bytes, file_name: str) -> str:
    """Where a manifest is kept as given: the same bytes under one name are one file."""
    name = plain(PurePosixPath(without_query(file_name)).name) or "manifest"
    return f"{batch}/manifests/{hashlib.sha256(content).hexdigest()[:8]}-{name}"


def read_batch_file(archive: Archive, batch: BatchId) -> BatchFile | None:
    """None where the archive does not know the batch. Raises Refused where it is unreadable."""
    content = archive.read(batch_file_key(batch))
    if content is None:
        return None
    try:
        return BatchFile.model_validate_json(content)
    except ValidationError as error:
        raise Refused(
            f"{archive.uri_of(batch_file_key(batch))} cannot be read by this release of Reelbatch.",
            advice="Upgrade Reelbatch, or give another archive with --archive.",
        ) from error


def write_batch_file(archive: Archive, file: BatchFile) -> None:
    """Write it anew; the batch is known to be ours (`claim_batch`)."""
    archive.put(batch_file_key(file.batch), file.render(), JSON_TYPE)


def claim_batch(archive: Archive, file: BatchFile) -> None:
    """Leave the ledger's id in the archive; of two ledgers at once, one gets it.

    Raises Refused where another ledger has it.
    """
    content = file.render()
    sha256 = hashlib.sha256(content).hexdigest()
    key = batch_file_key(file.batch)
    try:
        archive.put_once(key, content, sha256=sha256, content_type=JSON_TYPE)
    except KeyTaken:
        check_owner(archive, file.batch, file.ledger_id)


def check_owner(archive: Archive, batch: BatchId, ledger_id: str) -> None:
    """Raises Refused where the batch in this archive belongs to another ledger."""
    file = read_batch_file(archive, batch)
    if file is None or file.ledger_id == ledger_id:
        return
    raise Refused(
        f"{archive.uri_of(batch_file_key(batch))} belongs to another ledger ({file.ledger_id},"
        f" made {file.created_at:%Y-%m-%d}); this one ({ledger_id}) does not know what was paid.",
        advice="Name that ledger with --ledger, or take another --batch or --archive.",
    )
