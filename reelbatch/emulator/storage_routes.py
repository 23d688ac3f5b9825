"""Storage on the wire: rest.fal.ai's tokens and fal.media's files (fal.md, section 8)."""

import secrets

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from reelbatch.emulator.account import Account
from reelbatch.emulator.faults.moments import Call, Moment, Proceed
from reelbatch.emulator.faults.plan import Faults
from reelbatch.emulator.storage import Storage, StoredFile
from reelbatch.emulator.tally import Tally
from reelbatch.emulator.wire import Hosts, detail

PLAIN = "application/octet-stream"


class StorageRoutes:
    def __init__(self, account: Account, storage: Storage, faults: Faults, tally: Tally) -> None:
        self.account = account
        self.storage = storage
        self.faults = faults
        self.tally = tally
        self._parts: dict[str, dict[int, bytes]] = {}

    def routes(self) -> list[Route]:
        multipart = "/files/upload/multipart"
        upload = "/{path:path}/multipart/{upload_id}"
        return [
            Route("/storage/auth/token", self.token, methods=["POST"]),
            Route("/storage/upload/initiate", self.initiate, methods=["POST"]),
            Route("/files/upload", self.upload, methods=["POST"]),
            Route(multipart, self.begin_parts, methods=["POST"]),
            Route(f"{upload}/complete", self.complete_parts, methods=["POST"]),
            Route(f"{upload}/{{number:int}}", self.put_part, methods=["PUT"]),
            Route("/files/{rest:path}", self.put, methods=["PUT"]),
            Route("/files/{rest:path}", self.get, methods=["GET"]),
        ]

    async def token(self, request: Request) -> Response:
        async def proceed() -> Response:
            media = Hosts.of(request).media
            base = "https://v3.fal.media" if media.endswith(".fal.media") else media
            return JSONResponse({**self.storage.new_token(), "base_url": base})

        return await self._guarded("token", request, proceed)

    async def initiate(self, request: Request) -> Response:
        async def proceed() -> Response:
            wish = await request.json()
            url = Hosts.of(request).media + self.storage.new_path(wish.get("file_name"))
            signed = f"{url}?signature={secrets.token_hex(8)}"
            return JSONResponse({"upload_url": signed, "file_url": url})

        return await self._guarded("token", request, proceed)

    async def _guarded(self, moment: Moment, request: Request, proceed: Proceed) -> Response:
        self.tally.calls[moment] += 1
        refusal = self.account.refusal(request) or self.account.lock()
        if refusal is not None:
            return refusal
        return await self.faults.around(moment, Call(request=request, proceed=proceed))

    async def upload(self, request: Request) -> Response:
        if not self.storage.knows(request.headers.get("authorization")):
            return detail(401, "Invalid token")

        async def proceed() -> Response:
            stored = await self._store(request, request.headers.get("x-fal-file-name"))
            return JSONResponse({"access_url": Hosts.of(request).media + stored.path})

        return await self._counted(request, proceed)

    async def put(self, request: Request) -> Response:
        async def proceed() -> Response:
            await self._store(request, None, path=request.url.path)
            return Response()

        return await self._counted(request, proceed)

    async def _counted(self, request: Request, proceed: Proceed) -> Response:
        self.tally.calls["upload"] += 1
        return await self.faults.around("upload", Call(request=request, proceed=proceed))

    async def _store(
        self, request: Request, name: str | None, path: str | None = None
    ) -> StoredFile:
        kind = request.headers.get("content-type", PLAIN)
        return self.storage.keep(await request.body(), name, kind, path=path)

    async def begin_parts(self, request: Request) -> Response:
        if not self.storage.knows(request.headers.get("authorization")):
            return detail(401, "Invalid token")
        upload_id = secrets.token_hex(8)
        self._parts[upload_id] = {}
        path = self.storage.new_path(request.headers.get("x-fal-file-name"))
        url = Hosts.of(request).media + path
        return JSONResponse({"access_url": url, "uploadId": upload_id})

    async def put_part(self, request: Request) -> Response:
        parts = self._parts[request.path_params["upload_id"]]
        number: int = request.path_params["number"]
        parts[number] = await request.body()
        return Response(headers={"etag": f'"{number}"'})

    async def complete_parts(self, request: Request) -> Response:
        async def proceed() -> Response:
            parts = self._parts.pop(request.path_params["upload_id"])
            # fal_client names the parts in the order in which its threads finished.
            named = sorted(part["partNumber"] for part in (await request.json())["parts"])
            content = b"".join(parts[number] for number in named)
            self.storage.keep(content, None, PLAIN, path="/" + request.path_params["path"])
            return JSONResponse({})

        return await self._counted(request, proceed)

    async def get(self, request: Request) -> Response:
        """Uploads and the example come as they are; only made videos meet media faults."""
        stored = self.storage.files.get(request.scope["path"])
        if stored is None:
            return PlainTextResponse("Not Found", 404)

        async def proceed() -> Response:
            return self._part_or_all(request, stored)

        if stored.submission is None:
            return await proceed()
        self.tally.calls["media"] += 1
        call = Call(request=request, proceed=proceed, submission=stored.submission)
        return await self.faults.around("media", call)

    def _part_or_all(self, request: Request, stored: StoredFile) -> Response:
        content = self.storage.reel.read(stored.clip)
        headers = {"accept-ranges": "bytes", "cache-control": "public, max-age=31536000"}
        span = wanted_range(request.headers.get("range"), len(content))
        if span is None:
            return Response(content, 200, headers, stored.content_type)
        start, end = span
        headers["content-range"] = f"bytes {start}-{end - 1}/{len(content)}"
        return Response(content[start:end], 206, headers, stored.content_type)


def wanted_range(header: str | None, length: int) -> tuple[int, int] | None:
    """Start and end of the one range asked for; None for all of it."""
    unit, _, span = (header or "").partition("=")
    first, dash, last = span.partition("-")
    if unit != "bytes" or not dash or "," in span:
        return None
    if not first:
        return max(0, length - int(last)), length
    end = min(int(last) + 1, length) if last else length
    return (int(first), end) if int(first) < end else None
