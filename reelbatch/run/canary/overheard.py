"""fal's answers as they came over the wire, before our client has judged them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import httpx

Call = Literal["submit", "status", "stream", "result", "list", "bill", "other"]

TOLD_BY = ("content-type", "retry-after", "content-length")
"""Headers worth keeping besides fal's own."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Its code, the headers that say something, and its body where it is a JSON object."""

    http_status: int
    headers: dict[str, str]
    body: dict[str, Any]


class Overheard:
    """The last answer to each kind of call; give it to `open_fal` as its listener."""

    def __init__(self) -> None:
        self._last: dict[Call, Answer] = {}

    async def __call__(self, response: httpx.Response) -> None:
        headers = {
            name: value
            for name, value in response.headers.items()
            if name in TOLD_BY or name.startswith("x-fal")
        }
        body = {} if _is_stream(response) else await _body(response)
        call = kind_of(response.request)
        self._last[call] = Answer(http_status=response.status_code, headers=headers, body=body)

    def last(self, call: Call) -> Answer:
        return self._last.get(call, Answer(http_status=0, headers={}, body={}))


def kind_of(request: httpx.Request) -> Call:
    path = request.url.path
    if path.endswith("/requests/by-endpoint"):
        return "list"
    if path.endswith("/billing-events"):
        return "bill"
    if path.endswith("/status/stream"):
        return "stream"
    if path.endswith("/status"):
        return "status"
    if "/requests/" in path:
        return "result"
    return "submit" if request.method == "POST" else "other"


def _is_stream(response: httpx.Response) -> bool:
    return "event-stream" in response.headers.get("content-type", "")


async def _body(response: httpx.Response) -> dict[str, Any]:
    """What is read here the client finds again; what breaks off here breaks off there."""
    found: Any = None
    with suppress(httpx.HTTPError, ValueError):
        await response.aread()
        found = response.json()
    return found if isinstance(found, dict) else {}
