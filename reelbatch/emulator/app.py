"""All of fal on one port: the paths of its hosts do not clash."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reelbatch.emulator.account import Account
from reelbatch.emulator.admin import AdminRoutes
from reelbatch.emulator.example import example_png
from reelbatch.emulator.faults.plan import Faults, Plan
from reelbatch.emulator.history import History
from reelbatch.emulator.pictures import Pictures
from reelbatch.emulator.platform import PlatformRoutes
from reelbatch.emulator.queue import Queue
from reelbatch.emulator.queue_routes import QueueRoutes
from reelbatch.emulator.reel import Reel
from reelbatch.emulator.runner import Runner
from reelbatch.emulator.settings import Settings
from reelbatch.emulator.storage import EXAMPLE, Storage
from reelbatch.emulator.storage_routes import StorageRoutes
from reelbatch.emulator.studio import Studio
from reelbatch.emulator.submission import Submission
from reelbatch.emulator.tally import Tally
from reelbatch.emulator.webhooks import Webhooks

FILM_THREADS = 2


class Emulator:
    def __init__(self, settings: Settings, plan: Plan, only_key: str | None = None) -> None:
        self.settings = settings
        self.tally = Tally()
        self.faults = Faults(plan)
        self.account = Account(settings, only_key)
        self.threads = ThreadPoolExecutor(FILM_THREADS, thread_name_prefix="film")
        self.reel = Reel()
        self.storage = Storage(self.reel)
        self.pictures = Pictures(self.storage, self.threads)
        self.studio = Studio(settings, self.threads)
        runner = Runner(settings, self.faults, self.pictures, self.studio, self.storage)
        self.queue = Queue(settings, runner.run, self._done)
        self.history = History(settings, self.queue, self.faults)
        self.webhooks = Webhooks(settings, self.faults, self.tally, self.account.user_id)
        self.storage.keep(example_png(), None, "image/png", path=EXAMPLE)

    def app(self) -> Starlette:
        shared = (self.settings, self.account, self.queue, self.faults, self.tally)
        storage = StorageRoutes(self.account, self.storage, self.faults, self.tally)
        routes = [
            *AdminRoutes(*shared).routes(),
            *PlatformRoutes(self.account, self.history, self.faults, self.tally).routes(),
            *storage.routes(),
            Route("/.well-known/jwks.json", self._jwks),
            *QueueRoutes(*shared).routes(),
        ]
        return Starlette(routes=routes)

    async def close(self) -> None:
        await self.webhooks.close()
        await self.queue.forget()
        await self.pictures.close()
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.reel.close()

    async def _jwks(self, request: Request) -> Response:
        return JSONResponse(self.webhooks.jwks())

    def _done(self, submission: Submission) -> None:
        answer = submission.answer
        if answer is not None and Decimal(answer.headers.get("x-fal-billable-units", "0")) > 0:
            self.account.charge(submission.endpoint)
        self.webhooks.send(submission)
