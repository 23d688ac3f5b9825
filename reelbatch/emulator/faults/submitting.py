"""Faults of the POST that costs money: accepted or not, and whether we are told."""

from starlette.responses import Response

from reelbatch.emulator.faults.moments import Call
from reelbatch.emulator.faults.registry import fault
from reelbatch.emulator.wire import Dropped, Hanging, nginx_page


@fault(at="submit")
async def accept_then_drop(call: Call) -> Response:
    """The submission is accepted; the connection closes without an answer."""
    await call.proceed()
    return Dropped()


@fault(at="submit")
async def accept_then_hang(call: Call) -> Response:
    """The submission is accepted; the answer never comes."""
    await call.proceed()
    return Hanging()


@fault(at="submit")
async def drop_before_accept(call: Call) -> Response:
    """The connection closes without an answer; nothing was accepted."""
    return Dropped()


@fault(at="submit")
async def nginx_error(call: Call, *, status: int = 502, accepted: bool = False) -> Response:
    """nginx's HTML page of 502, 503 or 504; the submission accepted or not."""
    if accepted:
        await call.proceed()
    return nginx_page(status)
