"""All of fal on one port: the paths of its hosts do not clash."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from starlette.applications import Starlette

from reelbatch.emulator.account import Account
from reelbatch.emulator.admin import AdminRoutes
from reelbatch.emulator.faults.plan import Faults, Plan
from reelbatch.emulator.pictures import Pictures
from reelbatch.emulator.queue import Queue
from reelbatch.emulator.queue_routes import QueueRoutes
from reelbatch.emulator.reel import Reel
from reelbatch.emulator.runner import Runner
from reelbatch.emulator.settings import Settings
from reelbatch.emulator.storage import EXAMPLE, Storage
from reelbatch.emulator.storage_routes import StorageRoutes
from reelbatch.emulator.studio import Studio, example_png
from reelbatch.emulator.submission import Submission
from reelbatch.emulator.tally import Tally

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
        self.storage.keep(example_png(), None, "image/png", path=EXAMPLE)

    def app(self) -> Starlette:
        shared = (self.settings, self.account, self.queue, self.faults, self.tally)
        storage = StorageRoutes(self.account, self.storage, self.faults, self.tally)
        routes = [
            *AdminRoutes(*shared).routes(),
            *storage.routes(),
            *QueueRoutes(*shared).routes(),
        ]
        return Starlette(routes=routes)

    async def close(self) -> None:
        await self.queue.close()
        await self.pictures.close()
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.reel.close()

    def _done(self, submission: Submission) -> None:
        answer = submission.answer
        if answer is not None and Decimal(answer.headers.get("x-fal-billable-units", "0")) > 0:
            self.account.charge(submission.endpoint)
