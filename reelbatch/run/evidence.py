"""Whether a lost submission arrived: read from fal's list of what this account has run.

The list shows only started requests, may lag, has lost whole hours, and fal's queue is not
first in, first out (fal.md, sections 9 and 10). So presence is quickly believed, and absence
only when the deadline is past, the reading was made after it, and the list shows every
neighbour that is known to have started.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from reelbatch.fal.answers import ListedRequest
from reelbatch.ledger.doubts import Doubt

NEAR = timedelta(minutes=5)
"""A POST leaves within ten seconds of its claim and is given up after thirty; but clocks differ,
and the `Date` that tells how far need not be the clock that dates the list."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One complete reading of the list for an endpoint."""

    made_at: datetime
    listed: tuple[ListedRequest, ...]
    clock_offset: timedelta
    """fal's clock minus ours."""

    @property
    def ids(self) -> set[str]:
        return {str(one.request_id) for one in self.listed}


Verdict = Literal["absent", "waiting", "alone"]
"""`waiting`: ask again after its deadline. `alone`: no neighbour speaks for the list."""


def present(doubt: Doubt, reading: Reading, taken: Collection[str]) -> ListedRequest | None:
    """The listed request that is this POST: same body, same time, held by no other attempt.

    Of several, the one nearest in time: an earlier attempt, given up, may have arrived as well.
    """
    offset = reading.clock_offset
    ours = [
        one for one in reading.listed if one.request_id not in taken and is_ours(doubt, one, offset)
    ]
    return min(ours, key=lambda one: _distance(doubt, one, offset), default=None)


def is_ours(doubt: Doubt, listed: ListedRequest, clock_offset: timedelta) -> bool:
    """fal may fill in defaults, so only the keys that we sent are compared."""
    return _is_near(doubt, listed, clock_offset) and _asks_the_same(doubt, listed)


def judge(
    doubt: Doubt, reading: Reading, neighbours: Collection[str], taken: Collection[str]
) -> Verdict:
    """What a reading without this request means."""
    unknown = [one for one in reading.listed if one.request_id not in taken]
    may_be_ours = any(_may_be_ours(doubt, one, reading.clock_offset) for one in unknown)
    if reading.made_at <= doubt.deadline_at or may_be_ours:
        return "waiting"
    if not neighbours:
        return "alone"
    return "absent" if set(neighbours) <= reading.ids else "waiting"


def _may_be_ours(doubt: Doubt, listed: ListedRequest, clock_offset: timedelta) -> bool:
    """Our very body at another time, or a request of that time whose input fal does not show."""
    if listed.json_input is None:
        return _is_near(doubt, listed, clock_offset)
    return _asks_the_same(doubt, listed)


def _is_near(doubt: Doubt, listed: ListedRequest, clock_offset: timedelta) -> bool:
    return _distance(doubt, listed, clock_offset) <= NEAR


def _distance(doubt: Doubt, listed: ListedRequest, clock_offset: timedelta) -> timedelta:
    return abs(listed.sent_at - clock_offset - doubt.claimed_at)


def _asks_the_same(doubt: Doubt, listed: ListedRequest) -> bool:
    same_model = listed.endpoint_id == doubt.endpoint_id
    return same_model and listed.json_input is not None and covers(listed.json_input, doubt.body)


def covers(found: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    return all(name in found and found[name] == value for name, value in sent.items())
