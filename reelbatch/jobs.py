"""What a batch is made of: rows, jobs, attempts, and the states a job passes through.

A job is what may be paid: one take of one row in one revision. Its fingerprint says
what is asked of fal; it serves reuse and never identity.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NewType

BatchId = NewType("BatchId", str)
RowId = NewType("RowId", str)
JobId = NewType("JobId", str)
AttemptId = NewType("AttemptId", str)
RequestId = NewType("RequestId", str)

Arguments = Mapping[str, Any]
"""The JSON body of one submission, without `image_url`."""

FINGERPRINT_VERSION = 1
SEED_LIMIT = 2**31
"""fal does not document a seed range (fal.md, section 17); 31 bits fit everywhere."""


class State(StrEnum):
    """Where a job stands. Each member says who moves a job out of it."""

    PENDING = "pending"
    """Waiting for a place. Leaves by the claim."""
    SUBMITTING = "submitting"
    """A POST is on the wire. Leaves by the submitter; after 45 s anyone makes it IN_DOUBT."""
    IN_DOUBT = "in_doubt"
    """fal may or may not have accepted. Leaves by evidence, or by the user's word."""
    SUBMITTED = "submitted"
    """fal accepted. Leaves by webhook, or by the collector once it is due."""
    COMPLETED = "completed"
    """fal has a good result. Leaves by the archiver."""
    ARCHIVED = "archived"
    """The video and its sidecar are kept. Stays."""
    FAILED = "failed"
    """Given up, with a reason. Leaves by `retry`, or by a late good result."""
    CANCELLED = "cancelled"
    """fal confirmed the cancellation. Leaves by the next `run`, unless withdrawn."""


IN_FLIGHT = frozenset({State.SUBMITTING, State.SUBMITTED})
"""What takes one of the account's places."""

HELD = frozenset({State.SUBMITTING, State.IN_DOUBT, State.SUBMITTED, State.COMPLETED})
"""What a twin with the same fingerprint waits for."""

FINAL = frozenset({State.ARCHIVED, State.FAILED, State.CANCELLED})


def _digest(*parts: object) -> str:
    return hashlib.sha256(_CANONICAL.encode(parts).encode()).hexdigest()


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(
    queue_url: str, endpoint_id: str, arguments: Arguments, image_sha256: str | None
) -> str:
    """A versioned hash of what is asked of fal, seed included; the image counts by content."""
    digest = _digest(queue_url, endpoint_id, dict(arguments), image_sha256)
    return f"{FINGERPRINT_VERSION}:{digest}"


def arguments_digest(endpoint_id: str, arguments: Arguments) -> str:
    """What tells an edited job from a kept one, its image apart."""
    return _digest(endpoint_id, dict(arguments))[:32]


def row_hash(arguments: Arguments, image: str | None) -> RowId:
    """The id of a row that has none: its prompt, image as written and parameters, no labels."""
    return RowId(_digest("row", dict(arguments), image)[:12])


def seed_for(row_id: RowId, row_seed: int | None, take: int, roll: int) -> int:
    """The seed of one take. At roll 0 the user's own seed counts up with the takes."""
    if roll > 0:
        return _seed_from("reroll", row_id, row_seed, take, roll)
    if row_seed is not None:
        return row_seed + take - 1
    return _seed_from(row_id, take)


def _seed_from(*parts: object) -> int:
    return int(_digest(*parts)[:16], 16) % SEED_LIMIT
