"""Faults of fal's storage: the token, and the upload itself."""

from starlette.responses import JSONResponse, Response

from reelbatch.emulator.account import EXHAUSTED, locked
from reelbatch.emulator.faults.moments import Call
from reelbatch.emulator.faults.registry import fault
from reelbatch.emulator.wire import Dropped, Hanging, detail, redirection


@fault(at="token")
async def token_error(call: Call, *, status: int = 500) -> Response:
    """No upload token, or no place to upload to."""
    return detail(status, "Internal Server Error")


@fault(at="token")
async def token_locked(call: Call, *, reason: str = EXHAUSTED) -> Response:
    """403 "User is locked" when an upload token is asked for."""
    return locked(reason)


@fault(at="token")
async def token_redirected(call: Call, *, location: str = "/elsewhere") -> Response:
    """307 to another place instead of an upload token."""
    return redirection(location)


@fault(at="upload")
async def upload_redirected(call: Call, *, location: str = "/elsewhere") -> Response:
    """307 to another place; the file is not kept."""
    return redirection(location)


@fault(at="upload")
async def upload_error(call: Call, *, status: int = 500, kept: bool = False) -> Response:
    """The upload fails; the file kept or not."""
    if kept:
        await call.proceed()
    return detail(status, "Internal Server Error")


@fault(at="upload")
async def upload_dropped(call: Call) -> Response:
    """The connection closes in the upload."""
    return Dropped()


@fault(at="upload")
async def upload_hanging(call: Call) -> Response:
    """The upload is not answered; the file is not kept."""
    return Hanging()


@fault(at="upload")
async def upload_without_url(call: Call) -> Response:
    """200 that does not say where the file is."""
    await call.proceed()
    return JSONResponse({})


@fault(at="upload")
async def upload_lost(call: Call) -> Response:
    """200 with a URL at which there is nothing: a run will say file_download_error."""
    host = str(call.request.base_url).rstrip("/")
    return JSONResponse({"access_url": f"{host}/files/b/00000000/lost.png"})
