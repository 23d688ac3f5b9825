"""Faults of the CDN when a made video is downloaded."""

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse

from reelbatch.emulator.faults.moments import Call
from reelbatch.emulator.faults.registry import fault
from reelbatch.emulator.wire import CutShort, Dropped, redirection


@fault(at="media")
async def truncated_media(call: Call, *, keep: float = 0.9, honest: bool = False) -> Response:
    """A share of the video; `honest` sends a Content-Length that fits, else the line breaks."""
    whole = await call.proceed()
    part = round(len(whole.body) * keep)
    if not honest:
        return CutShort(whole, part)
    return Response(bytes(whole.body)[:part], media_type="video/mp4")


@fault(at="media")
async def html_media(call: Call, *, content_type: str = "text/html") -> Response:
    """200 with an HTML page in place of the video."""
    return Response(b"<html><body>Please log in</body></html>", media_type=content_type)


@fault(at="media")
async def wrong_content_type(
    call: Call, *, content_type: str = "application/octet-stream"
) -> Response:
    """The right bytes under another content type."""
    whole = await call.proceed()
    whole.headers["content-type"] = content_type
    return whole


@fault(at="media")
async def corrupt_media(call: Call, *, bytes_wrong: int = 4096) -> Response:
    """The right length with a stretch of wrong bytes in the middle."""
    whole = await call.proceed()
    content = bytearray(whole.body)
    middle = len(content) // 2
    wrong = content[middle : middle + bytes_wrong]
    content[middle : middle + bytes_wrong] = bytes(byte ^ 0xFF for byte in wrong)
    return Response(bytes(content), media_type="video/mp4")


@fault(at="media")
async def empty_media(call: Call) -> Response:
    """200 with no bytes at all."""
    return Response(b"", media_type="video/mp4")


@fault(at="media")
async def media_without_length(call: Call) -> Response:
    """The whole video, without a Content-Length."""
    whole = await call.proceed()

    async def content() -> AsyncIterator[bytes]:
        yield bytes(whole.body)

    return StreamingResponse(content(), media_type="video/mp4")


@fault(at="media")
async def slow_media(call: Call, *, seconds: float = 2.0, pieces: int = 10) -> Response:
    """The video drips in."""
    whole = await call.proceed()
    content = bytes(whole.body)

    async def drip() -> AsyncIterator[bytes]:
        step = -(-len(content) // pieces)
        for start in range(0, len(content), step):
            await asyncio.sleep(seconds / pieces)
            yield content[start : start + step]

    length = {"content-length": str(len(content))}
    return StreamingResponse(drip(), headers=length, media_type="video/mp4")


@fault(at="media")
async def media_missing(call: Call) -> Response:
    """404 from the CDN."""
    return PlainTextResponse("Not Found", 404)


@fault(at="media")
async def media_error(call: Call, *, status: int = 503) -> Response:
    """5xx, 403 or 429 from the CDN, as HTML."""
    return HTMLResponse(f"<html><body>{status}</body></html>", status)


@fault(at="media")
async def media_redirected(call: Call, *, location: str = "/elsewhere") -> Response:
    """302 to another place instead of the video."""
    return redirection(location, 302)


@fault(at="media")
async def media_dropped(call: Call) -> Response:
    """The connection closes before the first byte."""
    return Dropped()
