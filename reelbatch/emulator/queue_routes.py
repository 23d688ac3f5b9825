"""The queue on the wire: submit, status, stream, result, cancel (fal.md, section 3)."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any, Literal, assert_never

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from reelbatch.emulator.account import Account, unknown_app
from reelbatch.emulator.clock import now
from reelbatch.emulator.faults.moments import Call, Enqueued
from reelbatch.emulator.faults.plan import Faults
from reelbatch.emulator.queue import Queue
from reelbatch.emulator.settings import Settings
from reelbatch.emulator.submission import State, Submission
from reelbatch.emulator.tally import Tally
from reelbatch.emulator.wire import Hosts, detail

Verb = Literal["status", "stream", "result", "cancel"]
NAMESPACES = ("workflows", "comfy")
NOT_FOUND = {"status": "NOT_FOUND"}
STREAM_SECONDS = 1.0


class QueueRoutes:
    def __init__(
        self, settings: Settings, account: Account, queue: Queue, faults: Faults, tally: Tally
    ) -> None:
        self.settings = settings
        self.account = account
        self.queue = queue
        self.faults = faults
        self.tally = tally

    def routes(self) -> list[Route]:
        return [Route("/{path:path}", self.serve, methods=["GET", "POST", "PUT"])]

    async def serve(self, request: Request) -> Response:
        """Credential, then lock, then app: the order fal was seen to check in."""
        endpoint, request_id, verb = parse(request.scope["path"])
        app = app_of(endpoint)
        refusal = self.account.refusal(request, app)
        if refusal is not None:
            self.tally.calls["refused"] += 1
            return refusal
        if request_id is None:
            return await self._submit(request, endpoint, app)
        return await self._about(request, request_id, verb)

    async def _submit(self, request: Request, endpoint: str, app: str) -> Response:
        self.tally.calls["submit"] += 1
        if request.method != "POST":
            return detail(405, "Method Not Allowed")
        refusal = self.account.lock() or unknown_app(app)
        if refusal is not None:
            return refusal
        submission = await accepted(request, endpoint, app)

        async def proceed() -> Response:
            return self._accept(request, submission)

        return await self.faults.around(
            "submit", Call(request=request, proceed=proceed, submission=submission)
        )

    def _accept(self, request: Request, submission: Submission) -> Response:
        longest = request.query_params.get("fal_max_queue_length")
        if longest is not None and self.queue.waiting > int(longest):
            return detail(429, "Queue is too long")
        self.tally.accepted[submission.body_sha256] += 1
        self.faults.touch("enqueue", Enqueued(submission=submission))
        self.queue.add(submission)
        return JSONResponse(
            {
                "status": "IN_QUEUE",
                "request_id": submission.request_id,
                "gateway_request_id": submission.gateway_request_id,
                "queue_position": self.queue.position(submission),
                **submission.urls,
            }
        )

    async def _about(self, request: Request, request_id: str, verb: Verb) -> Response:
        self.tally.calls[verb] += 1
        submission = self.queue.submissions.get(request_id)
        if submission is None or submission.gone or self._expired(submission):
            return await self._nobody(request)

        async def proceed() -> Response:
            return self._answer(verb, request, submission)

        if request.method != ("PUT" if verb == "cancel" else "GET"):
            return detail(405, "Method Not Allowed")
        call = Call(request=request, proceed=proceed, submission=submission)
        return await self.faults.around(verb, call)

    async def _nobody(self, request: Request) -> Response:
        async def proceed() -> Response:
            return JSONResponse(NOT_FOUND, 404)

        return await self.faults.around("unknown", Call(request=request, proceed=proceed))

    def _expired(self, submission: Submission) -> bool:
        if submission.ended_at is None:
            return False
        return now() - submission.ended_at > timedelta(seconds=self.settings.result_seconds)

    def _status(self, request: Request, submission: Submission) -> Response:
        """202 until COMPLETED, then 200."""
        code = 200 if submission.state is State.COMPLETED else 202
        return JSONResponse(self._seen(submission, wants_logs(request)), code)

    def _stream(self, request: Request, submission: Submission) -> Response:
        events = self._events(submission, wants_logs(request))
        return StreamingResponse(events, media_type="text/event-stream")

    async def _events(self, submission: Submission, logs: bool) -> AsyncIterator[str]:
        """One event for each change; only the new logs; the last one says COMPLETED."""
        before: dict[str, Any] | None = None
        shown = 0
        while before is None or before["status"] != State.COMPLETED:
            status = self._seen(submission, logs)
            if logs and status.get("logs"):
                status["logs"], shown = status["logs"][shown:], len(status["logs"])
            if status != before:
                yield f"data: {json.dumps(status)}\n\n"
            before = status
            if status["status"] == submission.state != State.COMPLETED:
                await submission.change(within_seconds=STREAM_SECONDS)

    def _seen(self, submission: Submission, logs: bool) -> dict[str, Any]:
        seen: dict[str, Any] = {"status": submission.state, "request_id": submission.request_id}
        if submission.state is State.IN_QUEUE:
            return {**seen, "queue_position": self.queue.position(submission), **submission.urls}
        seen |= submission.urls
        seen["logs"] = list(submission.logs) if logs else None
        if submission.state is State.COMPLETED:
            seen |= ending(submission)
        return seen

    def _result(self, submission: Submission) -> Response:
        if submission.answer is None:
            return detail(400, "Request is still in progress")
        return submission.answer.response(x_fal_request_id=submission.request_id)

    def _answer(self, verb: Verb, request: Request, submission: Submission) -> Response:
        match verb:
            case "status":
                return self._status(request, submission)
            case "stream":
                return self._stream(request, submission)
            case "result":
                return self._result(submission)
            case "cancel":
                return self.queue.cancel(submission).response()
            case _:
                assert_never(verb)


def parse(path: str) -> tuple[str, str | None, Verb]:
    """Endpoint, request id and verb; trailing slashes and `/response` are tolerated."""
    segments = [segment for segment in path.split("/") if segment]
    if "requests" not in segments[2:]:
        return "/".join(segments), None, "result"
    at = segments.index("requests", 2)
    endpoint, rest = "/".join(segments[:at]), segments[at + 1 :]
    request_id = rest[0] if rest else ""
    return endpoint, request_id, VERBS.get("/".join(rest[1:]), "result")


VERBS: Mapping[str, Verb] = {
    "": "result",
    "response": "result",
    "status": "status",
    "status/stream": "stream",
    "cancel": "cancel",
}


def app_of(endpoint: str) -> str:
    segments = endpoint.split("/")
    return "/".join(segments[: 3 if segments[0] in NAMESPACES else 2])


async def accepted(request: Request, endpoint: str, app: str) -> Submission:
    """The request as it came; a body that is no JSON fails only when it runs."""
    headers = request.headers
    timeout = headers.get("x-fal-request-start-timeout") or headers.get("x-fal-request-timeout")
    return Submission(
        endpoint=endpoint,
        app=app,
        body=as_json(await request.body()),
        hosts=Hosts.of(request),
        webhook=request.query_params.get("fal_webhook"),
        tags=tags(headers.get("x-fal-tags", "")),
        start_timeout=float(timeout) if timeout else None,
        low_priority=headers.get("x-fal-queue-priority") == "low",
        no_retry=headers.get("x-fal-no-retry", "").lower() in ("1", "true", "yes"),
        store_io=headers.get("x-fal-store-io") != "0",
    )


def as_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def tags(header: str) -> dict[str, str]:
    """`k=v,k=v`; whatever breaks fal's rules is silently dropped."""
    if len(header.encode()) > 1024:
        return {}
    pairs = (pair.strip().partition("=") for pair in header.split(",") if "=" in pair)
    return {key: value for key, _, value in list(pairs)[:10] if not key.startswith("fal.")}


def wants_logs(request: Request) -> bool:
    return request.query_params.get("logs", "0").lower() in ("1", "true")


def ending(submission: Submission) -> dict[str, Any]:
    """Metrics, and `error` only where the infrastructure failed: a model's 4xx has none."""
    ended: dict[str, Any] = {"metrics": {"inference_time": submission.seconds}}
    answer = submission.answer
    if answer is not None and "X-Fal-Error-Type" in answer.headers:
        ended |= {"error": answer.body["detail"], "error_type": answer.body["error_type"]}
    return ended
