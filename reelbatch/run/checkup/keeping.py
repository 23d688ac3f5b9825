"""What must last: the archive, the ledger, and the disk they lie on."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from reelbatch.archive.contract import SCRATCH, Archive, KeyTaken
from reelbatch.archive.open import open_archive
from reelbatch.config import Settings
from reelbatch.errors import Refused
from reelbatch.ledger.condition import Condition, condition_of
from reelbatch.run.checkup.check import Found, bad, ok, skipped, warning
from reelbatch.run.passing import in_container, refuse_passing_places
from reelbatch.run.unwaited import in_thread
from reelbatch.urls import without_login

PROBE = "probe.txt"
TRIALS = (b"one\n", b"two\n", b"three\n")
"""Three: another doctor may take the first away while we put the second."""

PATIENCE_SECONDS = 8.0
"""A live run holds the ledger for milliseconds; boto3 itself tries for longer than we wait."""

MB = 1024 * 1024
CLOCKS_AGREE_SECONDS = 5.0
SCARCE_BYTES = 1024 * MB
NOTHING_BYTES = 100 * MB


async def archive(settings: Settings, patience_seconds: float = PATIENCE_SECONDS) -> Found:
    try:
        async with asyncio.timeout(patience_seconds):
            return await in_thread(lambda: _archive(open_archive(settings.archive)))
    except TimeoutError:
        return bad(
            f"{settings.archive} was not reached in {patience_seconds:g} s.",
            "Check the network, or the mount; for s3:// also AWS_ENDPOINT_URL_S3.",
        )


def _archive(place: Archive) -> Found:
    """What a run does there, with a file of our own: put, put another on top, read."""
    place.probe()
    if (folder := _folder_of(place)) and not folder.exists():
        return ok(f"{place.describe()} can be made by the first run.")
    if not any(_is_refused(place, content) for content in TRIALS):
        place.take_away_scratch(PROBE)
        return bad(
            f"{place.describe()} lets files be written over: a second put under a key succeeded.",
            "Use a store that honours If-None-Match.",
        )
    if place.read(f"{SCRATCH}/{PROBE}") is None:
        return bad(
            f"{place.describe()} can be written and not read.",
            "Allow s3:GetObject below the prefix, besides s3:PutObject.",
        )
    left = "" if place.take_away_scratch(PROBE) else f"; {SCRATCH}/{PROBE} may be left there"
    return ok(f"{place.describe()} can be written once and read{left}.")


def _is_refused(place: Archive, content: bytes) -> bool:
    """Whether the key was taken by other bytes; without If-None-Match it never is."""
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        place.put_once(f"{SCRATCH}/{PROBE}", content, sha256=sha256, content_type="text/plain")
    except KeyTaken:
        return True
    return False


async def ledger(settings: Settings, patience_seconds: float = PATIENCE_SECONDS) -> Found:
    if in_container() and not settings.ledger:
        refuse_passing_places(settings)
    try:
        async with asyncio.timeout(patience_seconds):
            return await in_thread(lambda: _ledger(settings.ledger_url))
    except TimeoutError:
        return bad(
            f"{without_login(settings.ledger_url)} took no write in {patience_seconds:g} s: it "
            "cannot be reached, or another program holds it.",
            "Look who holds it; a run waits 30 s for its turn.",
        )


def _ledger(url: str) -> Found:
    shown = without_login(url)
    if found := condition_of(url):
        return _in_use(f"{shown} takes writes; its schema is {found.schema}", found)
    if (path := _file_of(url)) and not os.access(_existing(path.parent), os.W_OK | os.X_OK):
        return bad(
            f"{shown} cannot be made: its folder may not be written to.",
            "Change the folder's mode, or set REELBATCH_LEDGER.",
        )
    return ok(f"{shown} is not there yet; the first run makes it.")


def _in_use(words: str, found: Condition) -> Found:
    seconds = found.clock_ahead_seconds
    if abs(seconds) < CLOCKS_AGREE_SECONDS:
        return ok(f"{words}.")
    return warning(
        f"{words}; its clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} "
        "this machine's.",
        "Set both by NTP: pace, parking and deadlines go by the ledger's clock.",
    )


async def disk(settings: Settings) -> Found:
    return await in_thread(lambda: _disk(list(_local_places(settings))))


def _disk(places: list[Path]) -> Found:
    if not places:
        return skipped("Neither ledger nor archive lies on this machine.")
    free, place = min((shutil.disk_usage(place).free, str(place)) for place in places)
    words = f"{free / MB / 1024:.1f} GB are free at {place}."
    if free < NOTHING_BYTES:
        return bad(f"{free // MB} MB are free at {place}.", "Free some: a full disk stops a run.")
    if free < SCARCE_BYTES:
        return warning(words, "A video takes about 1 MB, the ledger 5 MB for a thousand.")
    return ok(words)


def _local_places(settings: Settings) -> Iterator[Path]:
    """Existing folders on this machine's own disks, as far as they can be told."""
    try:
        folder = _folder_of(open_archive(settings.archive))
    except Refused:
        folder = None
    for path in (folder, _file_of(settings.ledger_url)):
        if path is not None:
            yield _existing(path)


def _folder_of(place: Archive) -> Path | None:
    parts = urlsplit(place.uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _file_of(url: str) -> Path | None:
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database
    return Path(str(parsed.database)).expanduser().absolute() if is_file else None


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.is_dir())
