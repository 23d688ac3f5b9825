"""The emulator's own door for tests: look inside, and change things while it runs.

Everything is under `/_emulator/`, which is no path of fal's, and wants no key.
"""

import json
from collections import Counter
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reelbatch.emulator.account import EXHAUSTED, Account
from reelbatch.emulator.clock import iso
from reelbatch.emulator.faults.plan import Faults, Rule
from reelbatch.emulator.queue import Queue
from reelbatch.emulator.settings import Settings
from reelbatch.emulator.submission import State, Submission
from reelbatch.emulator.tally import Tally


class AdminRoutes:
    def __init__(
        self, settings: Settings, account: Account, queue: Queue, faults: Faults, tally: Tally
    ) -> None:
        self.settings = settings
        self.account = account
        self.queue = queue
        self.faults = faults
        self.tally = tally

    def routes(self) -> list[Route]:
        return [
            Route("/_emulator/state", self.state),
            Route("/_emulator/submissions", self.submissions),
            Route("/_emulator/settings", self.change_settings, methods=["POST"]),
            Route("/_emulator/faults", self.switch_on, methods=["POST"]),
            Route("/_emulator/faults", self.switch_off, methods=["DELETE"]),
            Route("/_emulator/faults/{number:int}", self.switch_off, methods=["DELETE"]),
            Route("/_emulator/lock", self.lock, methods=["POST"]),
            Route("/_emulator/unlock", self.unlock, methods=["POST"]),
            Route("/_emulator/expire", self.expire, methods=["POST"]),
            Route("/_emulator/reset", self.reset, methods=["POST"]),
            Route("/_emulator/forget", self.forget, methods=["POST"]),
        ]

    async def state(self, request: Request) -> Response:
        states = Counter(each.state for each in self.queue.submissions.values())
        return JSONResponse(
            {
                **self.tally.shown(),
                "jobs": {state: states[state] for state in State},
                "slots": self.queue.slots.shown(),
                "account": self._account(),
                "settings": self.settings.shown(),
                "faults": [rule.shown() for rule in self.faults.active],
            }
        )

    def _account(self) -> dict[str, Any]:
        return {
            "locked_because": self.account.locked_because,
            "spent_usd": str(self.account.spent_usd),
            "balance_usd": str(self.account.balance_usd),
        }

    async def submissions(self, request: Request) -> Response:
        """Everything accepted, oldest first."""
        shown = [inside(each) for each in self.queue.submissions.values()]
        return JSONResponse({"submissions": shown})

    async def change_settings(self, request: Request) -> Response:
        try:
            self.queue.slots.measure()
            self.settings.change(**await request.json())
        except (ValueError, TypeError) as error:
            return JSONResponse({"detail": str(error)}, 422)
        self.queue.dispatch()
        return JSONResponse(self.settings.shown())

    async def switch_on(self, request: Request) -> Response:
        """Takes one rule, or a list of them, as in a plan file; answers with their ids."""
        wish = await request.json()
        try:
            rules = [Rule(**each) for each in (wish if isinstance(wish, list) else [wish])]
        except (ValidationError, ValueError, TypeError) as error:
            return JSONResponse({"detail": str(error)}, 422)
        return JSONResponse({"faults": [self.faults.switch_on(rule).shown() for rule in rules]})

    async def switch_off(self, request: Request) -> Response:
        self.faults.switch_off(request.path_params.get("number"))
        return JSONResponse({"faults": [rule.shown() for rule in self.faults.active]})

    async def lock(self, request: Request) -> Response:
        """Takes `{"reason": ...}`; without one the balance is exhausted."""
        wish = json.loads(await request.body() or b"{}")
        self.account.locked_because = wish.get("reason", EXHAUSTED)
        return JSONResponse(self._account())

    async def unlock(self, request: Request) -> Response:
        self.account.locked_because = None
        return JSONResponse(self._account())

    async def expire(self, request: Request) -> Response:
        """Forget finished results: those in `{"request_ids": [...]}`, or all."""
        wish = json.loads(await request.body() or b"{}")
        chosen = wish.get("request_ids", list(self.queue.submissions))
        finished = [self.queue.submissions[each] for each in chosen]
        for submission in finished:
            submission.gone = submission.gone or submission.state is State.COMPLETED
        return JSONResponse({"expired": sum(each.gone for each in finished)})

    async def reset(self, request: Request) -> Response:
        """Counters to zero; submissions, files and faults stay."""
        self.tally.reset()
        self.queue.slots.reset()
        return JSONResponse({})

    async def forget(self, request: Request) -> Response:
        """Drop every submission, the running ones too, as if there had been none."""
        await self.queue.forget()
        return await self.reset(request)


def inside(submission: Submission) -> dict[str, Any]:
    def at(time: datetime | None) -> str | None:
        return iso(time)

    return {
        "request_id": submission.request_id,
        "endpoint": submission.endpoint,
        "body": submission.body,
        "body_sha256": submission.body_sha256,
        "state": submission.state,
        "status_code": submission.answer.status if submission.answer else None,
        "answer": submission.answer.body if submission.answer else None,
        "runs": submission.attempts,
        "sent_at": at(submission.sent_at),
        "started_at": at(submission.started_at),
        "ended_at": at(submission.ended_at),
        "webhook": submission.webhook,
        "tags": dict(submission.tags),
        "start_timeout": submission.start_timeout,
        "cancel_requested": submission.cancel_requested,
    }
