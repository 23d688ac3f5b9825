"""Answers as they look on the wire, those that are broken included."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from reelbatch.emulator.clock import uuid7


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a model or the gateway said; kept, and repeated to whoever asks for the result."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, **more_headers: str) -> Response:
        headers = {**self.headers, **{k.replace("_", "-"): v for k, v in more_headers.items()}}
        return JSONResponse(self.body, self.status, headers)

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


def detail(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """The gateway's shape of an error."""
    return JSONResponse({"detail": sentence}, status, headers)


def repeating(request: Request, status: int) -> Response:
    """A gateway that is too helpful: its error quotes what it was sent."""
    sent = ", ".join(f"{name}: {value}" for name, value in request.headers.items())
    return detail(status, f"Refused: {sent}")


def redirection(location: str, status: int = 307) -> Response:
    """Somewhere else, says this answer; whoever goes there takes the key along, or does not."""
    return Response(status_code=status, headers={"location": location})


NGINX = {
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
}


def nginx_page(status: int) -> Response:
    """The ingress' own page: HTML, and no x-fal-request-id."""
    title = NGINX.get(status, str(status))
    return HTMLResponse(
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
        status,
    )


class Dropped(Response):
    """No answer: the connection is closed under the caller."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["transport"].close()
        await disconnection(receive)


class Hanging(Response):
    """No answer either, but the caller has to find out by waiting."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await disconnection(receive)


class CutShort(Response):
    """The headers promise the whole body; the connection closes after a part of it."""

    def __init__(self, whole: Response, keep: int) -> None:
        super().__init__(whole.body, whole.status_code)
        self.raw_headers = whole.raw_headers
        self.keep = keep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        part = bytes(self.body)[: self.keep]
        await send({"type": "http.response.body", "body": part, "more_body": True})
        scope["state"]["transport"].close()
        await disconnection(receive)


async def disconnection(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """The base URLs a caller sees: ours, or fal's own names when it came through the proxy."""

    queue: str
    media: str

    @classmethod
    def of(cls, request: Request) -> "Hosts":
        host = request.headers.get("host", "localhost")
        if host.split(":")[0].endswith((".fal.run", ".fal.ai", ".fal.media")):
            return cls(queue="https://queue.fal.run", media="https://v3b.fal.media")
        return cls(
            queue=f"{request.scope['scheme']}://{host}", media=f"{request.scope['scheme']}://{host}"
        )


PLATFORM_ERRORS = {
    401: "authorization_error",
    403: "authorization_error",
    404: "not_found",
    422: "validation_error",
    429: "rate_limited",
    501: "not_implemented",
}


def platform_error(status: int, message: str = "The request failed") -> Response:
    """The platform APIs' own shape (fal.md, section 5 f)."""
    error = {
        "type": PLATFORM_ERRORS.get(status, "server_error"),
        "message": message,
        "docs_url": "https://docs.fal.ai",
        "request_id": uuid7(),
    }
    return JSONResponse({"error": error}, status)
