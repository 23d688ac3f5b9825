"""Ask fal to stop a request. Only fal's own word counts as an answer, never a gateway's."""

from __future__ import annotations

from reelbatch.fal.answers import CancelAnswer, Submission
from reelbatch.fal.reply import Reply
from reelbatch.fal.wire import Wire

_ANSWERS = {
    "OK": CancelAnswer.REMOVED,
    "CANCELLATION_REQUESTED": CancelAnswer.REQUESTED,
    "ALREADY_COMPLETED": CancelAnswer.ALREADY_COMPLETED,
    "NOT_FOUND": CancelAnswer.NOT_FOUND,
}


async def cancel(wire: Wire, submission: Submission) -> CancelAnswer:
    """PUT the cancellation. Raises Transient for any answer fal does not document."""
    return cancel_in(await wire.call("PUT", submission.cancel_url, content=b""))


def cancel_in(reply: Reply) -> CancelAnswer:
    try:
        content = reply.json()
    except ValueError:
        raise reply.transient("an answer to the cancellation") from None
    if answer := _ANSWERS.get(str(content.get("status"))):
        return answer
    if reply.ok and isinstance(content.get("success"), bool):
        return _of_old_schema(success=content["success"])
    raise reply.transient("an answer to the cancellation")


def _of_old_schema(*, success: bool) -> CancelAnswer:
    """`{"success": bool}` of fal's oldest schema says less: asked for, or too late."""
    return CancelAnswer.REQUESTED if success else CancelAnswer.ALREADY_COMPLETED
