"""Whether a lost submission arrived: read from fal's list of what this account has run.

The list shows only started requests, may lag, has lost whole hours, and fal's queue is not
first in, first out (fal.md, sections 9 and 10). So presence is quickly believed, and absence
only when the deadline is past, the reading was made after it, and the list shows every
neighbour that is known to have started.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from reelbatch.fal.answers import ListedRequest
from reelbatch.ledger.doubts import Doubt

NEAR = timedelta(minutes=5)
"""A POST leaves within ten seconds of its claim and is given up after thirty; but clocks differ,
and how far we know only roughly where no neighbour shows it."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One complete reading of the list for an endpoint."""

    made_at: datetime
    listed: tuple[ListedRequest, ...]
    clock_offset: timedelta
    """fal's clock minus ours, now."""

    @property
    def ids(self) -> set[str]:
        return {str(one.request_id) for one in self.listed}

    def offsets(self, neighbours: Neighbours) -> Offsets:
        """fal's clock minus ours: now, and at its least and most around the neighbours.

        A clock may have been set since; and the one that dates the list need not be that of
        `Date`. What was known to be ours then shows how far they were apart.
        """
        then = [
            one.sent_at - neighbours[one.request_id]
            for one in self.listed
            if one.request_id in neighbours
        ]
        now = self.clock_offset
        return now, min(then, default=now), max(then, default=now)


Offsets = tuple[timedelta, timedelta, timedelta]

Neighbours = Mapping[str, datetime]
"""Our other requests of that time that have started: by request_id, when each was claimed."""

Verdict = Literal["absent", "waiting", "alone"]
"""`waiting`: ask again after its deadline. `alone`: no neighbour speaks for the list."""


def present(
    doubt: Doubt, reading: Reading, neighbours: Neighbours, taken: Collection[str]
) -> ListedRequest | None:
    """The listed request that is this POST: same body, same time, held by no other attempt.

    Of several, the one nearest in time: an earlier attempt, given up, may have arrived as well.
    """
    offsets = reading.offsets(neighbours)
    same = [one for one in _unknown(reading, taken) if _asks_the_same(doubt, one)]
    nearest = min(same, key=lambda one: _distance(doubt, one, offsets), default=None)
    return nearest if nearest and _distance(doubt, nearest, offsets) <= NEAR else None


def judge(
    doubt: Doubt, reading: Reading, neighbours: Neighbours, taken: Collection[str]
) -> Verdict:
    """What a reading without this request means."""
    offsets = reading.offsets(neighbours)
    if not _is_late_enough(doubt, reading, offsets):
        return "waiting"
    if any(_may_be_ours(doubt, one, offsets) for one in _unknown(reading, taken)):
        return "waiting"
    if not neighbours:
        return "alone"
    return "absent" if set(neighbours) <= reading.ids else "waiting"


def _unknown(reading: Reading, taken: Collection[str]) -> Iterator[ListedRequest]:
    return (one for one in reading.listed if one.request_id not in taken)


def _is_late_enough(doubt: Doubt, reading: Reading, offsets: Offsets) -> bool:
    """Past the deadline by our own clock, and by fal's, should ours have been set since."""
    now, _, then = offsets
    return reading.made_at + min(timedelta(0), now - then) > doubt.deadline_at


def _may_be_ours(doubt: Doubt, listed: ListedRequest, offsets: Offsets) -> bool:
    """Our very body at another time, or a request of that time whose input fal does not show."""
    if listed.json_input is None:
        return _distance(doubt, listed, offsets) <= NEAR
    return _asks_the_same(doubt, listed)


def _distance(doubt: Doubt, listed: ListedRequest, offsets: Offsets) -> timedelta:
    """Between the claim and the request, by whichever clock brings them nearest."""
    return min(abs(listed.sent_at - offset - doubt.claimed_at) for offset in offsets)


def _asks_the_same(doubt: Doubt, listed: ListedRequest) -> bool:
    """fal may fill in defaults, so only the keys that we sent are compared."""
    same_model = listed.endpoint_id == doubt.endpoint_id
    return same_model and listed.json_input is not None and covers(listed.json_input, doubt.body)


def covers(found: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    return all(name in found and found[name] == value for name, value in sent.items())
