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

EARLIER = timedelta(minutes=2)
LATER = timedelta(minutes=2)
"""A POST leaves within ten seconds of its claim and is given up after thirty; clocks differ."""


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
    """The listed request that is this POST: same body, same time, held by no other attempt."""
    for one in sorted(reading.listed, key=lambda listed: listed.sent_at):
        if one.request_id not in taken and is_ours(doubt, one, reading.clock_offset):
            return one
    return None


def is_ours(doubt: Doubt, listed: ListedRequest, clock_offset: timedelta) -> bool:
    """fal may fill in defaults, so only the keys that we sent are compared."""
    sent_at = listed.sent_at - clock_offset
    if not doubt.claimed_at - EARLIER <= sent_at <= doubt.claimed_at + LATER:
        return False
    if listed.endpoint_id != doubt.endpoint_id or listed.json_input is None:
        return False
    return covers(listed.json_input, doubt.body)


def covers(found: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    return all(name in found and found[name] == value for name, value in sent.items())


def judge(doubt: Doubt, reading: Reading, neighbours: Collection[str]) -> Verdict:
    """What a reading without this request means."""
    if reading.made_at <= doubt.deadline_at or _hidden_inputs(doubt, reading):
        return "waiting"
    if not neighbours:
        return "alone"
    return "absent" if set(neighbours) <= reading.ids else "waiting"


def _hidden_inputs(doubt: Doubt, reading: Reading) -> bool:
    """A request of that time whose input fal does not show could be ours."""
    return any(
        one.json_input is None
        and doubt.claimed_at - EARLIER
        <= one.sent_at - reading.clock_offset
        <= doubt.claimed_at + LATER
        for one in reading.listed
    )
