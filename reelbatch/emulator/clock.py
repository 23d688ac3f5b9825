"""Times and ids the way fal writes them: UTC with a zone, request ids as UUIDv7."""

import os
import time
import uuid
from datetime import UTC, datetime

STARTED_AT = datetime.now(UTC)


def now() -> datetime:
    return datetime.now(UTC)


def iso(at: datetime | None) -> str | None:
    """`2026-02-17T10:30:05.789Z`, or null for what has not happened."""
    if at is None:
        return None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def uuid7() -> str:
    """A time-ordered id: ids of one second share their first eight digits (fal.md, section 3.2)."""
    milliseconds = time.time_ns() // 1_000_000
    chance = int.from_bytes(os.urandom(10))
    low = 0b10 << 62 | chance >> 12 & (1 << 62) - 1
    return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | (chance & 0xFFF) << 64 | low))
