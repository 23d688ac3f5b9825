"""Compare a manifest with what the ledger holds of its batch: the newest job of each take.

Pure: `plan` prints the outcome, `run` enters it. *Edited* means other arguments under the
job's own roll, or another image where both hashes are known; labels never make a revision.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reelbatch.jobs import (
    FINAL,
    JobId,
    RowId,
    State,
    arguments_digest,
    fingerprint,
    seed_for,
)
from reelbatch.manifest.rows import Row

Take = tuple[RowId, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """The newest revision of one take, as the ledger has it."""

    id: JobId
    row_id: RowId
    take: int
    revision: int
    roll: int
    arguments_digest: str
    image_source: str | None
    image_sha256: str | None
    state: State
    withdrawn: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class NewJob:
    """A job to enter; `replaces` is the revision that is withdrawn for it."""

    values: Mapping[str, Any]
    """The row of the jobs table, batch and account apart."""
    replaces: JobId | None

    @property
    def fingerprint(self) -> str:
        return str(self.values["fingerprint"])


@dataclass(kw_only=True)
class Comparison:
    """What a run would change."""

    new: list[NewJob] = field(default_factory=list)
    edited: list[NewJob] = field(default_factory=list)
    kept: list[Held] = field(default_factory=list)
    back: list[Held] = field(default_factory=list)
    """Withdrawn once, wanted again with the same arguments."""
    withdrawn: list[Held] = field(default_factory=list)
    copies: set[str] = field(default_factory=set)
    """Ids of new jobs that will be served by a copy: they cost nothing."""

    @property
    def reused(self) -> int:
        return len(self.copies)

    @property
    def to_enter(self) -> Iterator[NewJob]:
        yield from self.new
        yield from self.edited


def compare(
    queue_url: str,
    held: Mapping[Take, Held],
    rows: Iterable[Row],
    *,
    selected: set[RowId] | None,
    complete: bool,
    fresh_roll: int | None,
) -> Comparison:
    """What is new, edited, kept and withdrawn.

    `selected` None means all rows; with a selection, the others are only entered if new.
    `complete` says that `rows` is the whole manifest, so that what is absent is withdrawn.
    `fresh_roll` is the roll every selected job is brought to, or None.
    """
    found = Comparison()
    seen: set[Take] = set()
    position = 0
    for row in rows:
        chosen = selected is None or row.row_id in selected
        for take in range(1, row.takes + 1):
            seen.add((row.row_id, take))
            position += 1
            old = held.get((row.row_id, take))
            _place(
                found, queue_url, row, take, position, old, fresh_roll if chosen else None, chosen
            )
    if complete and selected is None:
        found.withdrawn = [
            job for key, job in held.items() if key not in seen and not job.withdrawn
        ]
    return found


def _place(
    found: Comparison,
    queue_url: str,
    row: Row,
    take: int,
    position: int,
    old: Held | None,
    fresh_roll: int | None,
    chosen: bool,
) -> None:
    if old is None:
        job = _job(queue_url, row, take, position, revision=1, roll=fresh_roll or 0)
        found.new.append(NewJob(values=job, replaces=None))
        return
    rerolled = fresh_roll is not None and old.roll < fresh_roll
    if chosen and (rerolled or _differs(old, row, take)):
        roll = fresh_roll if rerolled and fresh_roll is not None else old.roll
        job = _job(queue_url, row, take, position, revision=old.revision + 1, roll=roll)
        found.edited.append(NewJob(values=job, replaces=old.id))
    elif old.withdrawn and chosen:
        found.back.append(old)
    else:
        found.kept.append(old)


def _differs(old: Held, row: Row, take: int) -> bool:
    arguments = _arguments(row, take, old.roll)
    if arguments_digest(row.endpoint_id, arguments) != old.arguments_digest:
        return True
    if row.image is None:
        return False
    if row.image.sha256 and old.image_sha256:
        return row.image.sha256 != old.image_sha256
    return row.image.source != old.image_source


def _arguments(row: Row, take: int, roll: int) -> dict[str, Any]:
    return {**row.arguments, "seed": seed_for(row.row_id, row.seed, take, roll)}


def _job(
    queue_url: str, row: Row, take: int, position: int, *, revision: int, roll: int
) -> dict[str, Any]:
    arguments = _arguments(row, take, roll)
    image = row.image
    return {
        "id": secrets.token_hex(8),
        "row_id": row.row_id,
        "take": take,
        "revision": revision,
        "roll": roll,
        "position": position,
        "endpoint_id": row.endpoint_id,
        "arguments": arguments,
        "arguments_digest": arguments_digest(row.endpoint_id, arguments),
        "image_source": image.source if image else None,
        "image_location": image.location if image else None,
        "image_sha256": image.sha256 if image else None,
        "fingerprint": fingerprint(queue_url, row.endpoint_id, arguments, _identity(row)),
    }


def _identity(row: Row) -> str | None:
    """An image counts by content; one that nobody has read counts by its address."""
    if row.image is None:
        return None
    return row.image.sha256 or f"unread:{row.image.location}"


def next_roll(
    batch_roll: int,
    roll_keys: Collection[str],
    held: Sequence[Held],
    selected: set[RowId] | None,
    key: str,
) -> int:
    """The roll that `--fresh` brings its jobs to.

    It is raised only when no selected job of the newest roll is unfinished, and never twice
    for one `key` (a flow run's id); an interrupted `--fresh` is carried on instead.
    """
    mine = [job for job in held if selected is None or job.row_id in selected]
    if not mine or key in roll_keys:
        return batch_roll
    newest = [job for job in mine if job.roll == batch_roll and not job.withdrawn]
    unfinished = any(job.state not in FINAL for job in newest)
    return batch_roll if unfinished else batch_roll + 1
