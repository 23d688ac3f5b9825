"""Whether fal knows the key: the status of a request that cannot exist, which costs nothing."""

from __future__ import annotations

from reelbatch.errors import Transient
from reelbatch.fal.answers import KeyCheck
from reelbatch.fal.endpoints import OVI_TEXT
from reelbatch.fal.error_types import Family
from reelbatch.fal.reply import Reply
from reelbatch.fal.submit import submission_of
from reelbatch.fal.wire import Wire

NOBODY = "00000000-0000-0000-0000-000000000000"


async def check_key(wire: Wire) -> KeyCheck:
    """404 is a good key, 401 a bad one (fal.md, section 3.3). Raises nothing."""
    if wire.credentials.is_missing:
        return KeyCheck.MISSING
    try:
        url = submission_of(wire.queue_url, OVI_TEXT.id, NOBODY).status_url
        return _verdict(await wire.call("GET", url))
    except Transient:
        return KeyCheck.UNREACHABLE


def _verdict(reply: Reply) -> KeyCheck:
    """A 404 counts only in fal's own words: any web server has one."""
    failure = reply.failure()
    if reply.status == 404 and failure.error_type != "http_404":
        return KeyCheck.GOOD
    if reply.status == 401:
        return KeyCheck.BAD
    return KeyCheck.LOCKED if failure.family is Family.LOCKED else KeyCheck.UNKNOWN
