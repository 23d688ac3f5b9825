"""Whether the account is locked, for nothing: ask for an upload token and use none.

The status check of a key does not show a lock; storage does, as a submission would
(fal.md, section 5).
"""

from __future__ import annotations

from reelbatch.fal.failures import PermanentFailure
from reelbatch.fal.wire import Wire


async def check_account(wire: Wire) -> None:
    """Returns where fal gives a token. Raises Transient; Permanent where it refuses to."""
    url = f"{wire.rest_url}/storage/auth/token?storage_type=fal-cdn-v3"
    headers = {"Content-Type": "application/json"}
    reply = await wire.call("POST", url, headers=headers, content=b"{}")
    if reply.ok:
        return
    if reply.broken or reply.status < 400 or reply.status >= 500:
        raise reply.transient("an upload token")
    failure = reply.failure()
    raise PermanentFailure(f"fal refused: {failure.message}", failure)
