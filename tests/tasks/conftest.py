"""A run in this process: a real ledger, an archive on disk, and fal emulated beside it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from sqlalchemy import RowMapping, select

from reelbatch.cli.emulated import EmulatedFal
from reelbatch.config import Settings, read_settings
from reelbatch.jobs import RowId, State
from reelbatch.ledger import Ledger, open_ledger, reading
from reelbatch.ledger.schema import attempts, jobs
from reelbatch.run.opening import open_run
from reelbatch.run.plan import make_plan
from reelbatch.run.request import GenerateRequest
from reelbatch.run.run import Run
from tasks.load import enter, refuse_faults, take_batch
from tasks.produce import jobs_to_produce, produce
from tests.parts.emulator import Emulator
from tests.parts.line import Line


@pytest.fixture(scope="session")
def tasks_emulator() -> Iterator[Emulator]:
    emulator = Emulator(EmulatedFal.start(options=["--media=tiny"]))
    yield emulator
    emulator.stop()


@pytest.fixture
def fal(tasks_emulator: Emulator) -> Emulator:
    """Sound, unlocked and with no submissions; 8 slots, where a video takes 0.1 seconds."""
    tasks_emulator.forget()
    tasks_emulator.mend()
    tasks_emulator.unlock()
    tasks_emulator.set(
        concurrency=8,
        others=0,
        service_seconds=0.1,
        honour_cancel=False,
        cancelled_status="completed",
    )
    return tasks_emulator


@pytest.fixture
async def line(fal: Emulator) -> AsyncIterator[Line]:
    """The network between us and fal: cut, it frees a thread that waits for a download."""
    line = Line(urlsplit(fal.queue_url).port or 0)
    await line.mend()
    yield line
    await line.cut()


class Studio:
    """A folder with manifests in it, and runs of them as often as a test likes."""

    def __init__(self, folder: Path, ledger: Ledger, fal: Emulator) -> None:
        self.folder = folder
        self.ledger = ledger
        self.fal = fal
        self.settings: dict[str, Any] = {}
        """On top of the emulator's."""

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    def write(self, *lines: str, name: str = "cats.csv") -> Path:
        """A manifest: its header and its rows."""
        (self.folder / name).write_text("\n".join(lines) + "\n")
        return self.folder / name

    def paint(self, name: str, colour: str = "orange") -> Path:
        """An image; the same colour is the same content."""
        drawn = BytesIO()
        Image.new("RGB", (96, 64), colour).save(drawn, "PNG")
        (self.folder / name).write_bytes(drawn.getvalue())
        return self.folder / name

    @asynccontextmanager
    async def open(self, name: str = "cats.csv", **wishes: Any) -> AsyncIterator[Run]:
        """A run with its manifest in the ledger, and the poller at work."""
        request = GenerateRequest(manifest=str(self.folder / name), **wishes)
        plan = make_plan(request, self.settings_of(request.settings_flags()), self.ledger)
        refuse_faults(plan)
        batch, settings = take_batch(plan, request, self.ledger)
        async with open_run(request, settings, self.ledger, batch, plan) as run:
            await enter(run, plan)
            beside = [
                asyncio.create_task(run.poller.work()),
                asyncio.create_task(run.elsewhere.work()),
            ]
            try:
                yield run
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)

    def settings_of(self, flags: Mapping[str, Any]) -> Settings:
        """What a command with these flags would work with."""
        return read_settings(
            **{**self.fal.settings, "archive": str(self.archive), **self.settings, **flags}
        )

    async def produce(self, run: Run) -> dict[str, State]:
        """See every job through; returns where each row stands then."""
        wanted = await jobs_to_produce(run)
        run.unsubmitted |= {job_id for job_id, _, _ in wanted}
        await asyncio.gather(*(produce(run, job_id, state) for job_id, _, state in wanted))
        return self.states()

    async def make(self, name: str = "cats.csv", **wishes: Any) -> dict[str, State]:
        """One whole run."""
        async with self.open(name, **wishes) as run:
            return await self.produce(run)

    def states(self) -> dict[str, State]:
        """By row; a withdrawn revision only where there is no other."""
        found = sorted(self.jobs(), key=lambda job: (not job["withdrawn"], job["revision"]))
        return {job["row_id"]: State(job["state"]) for job in found}

    def jobs(self) -> list[RowMapping]:
        with self.ledger.reading() as tx:
            return list(tx.execute(select(jobs).order_by(jobs.c.position)).mappings())

    def job(self, row_id: str) -> RowMapping:
        """The row's newest job, with its labels and its newest attempt's handle."""
        mine = [job for job in self.jobs() if job["row_id"] == RowId(row_id)]
        return reading.job(self.ledger, mine[-1]["id"])

    def attempts(self, row_id: str) -> list[RowMapping]:
        return reading.attempts_of(self.ledger, self.job(row_id)["id"])

    def change_attempt(self, row_id: str, **values: object) -> None:
        """Write into the ledger behind everybody's back, for instance to move a clock."""
        with self.ledger.writing() as tx:
            mine = attempts.c.id == self.attempts(row_id)[-1]["id"]
            tx.execute(attempts.update().where(mine).values(values))

    @property
    def accepted(self) -> int:
        return int(self.fal.state()["accepted"]["total"])

    @property
    def calls(self) -> dict[str, int]:
        """How often the emulator was asked for what."""
        return dict(self.fal.state()["calls"])

    def videos(self) -> list[str]:
        return sorted(str(path.relative_to(self.archive)) for path in self.archive.rglob("*.mp4"))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "ledger.db"
    open_ledger(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def studio(tmp_path: Path, fal: Emulator, migrated: Path) -> Iterator[Studio]:
    shutil.copy(migrated, tmp_path / "ledger.db")
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield Studio(tmp_path, ledger, fal)
    ledger.close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks: a second look after hundredths, another attempt after tenths."""
    monkeypatch.setattr("tasks.collect.LOOK_AGAIN_SECONDS", 0.02)
    monkeypatch.setattr("reelbatch.ledger.results.BACKOFF_SECONDS", 0.1)
    monkeypatch.setattr("reelbatch.run.polling.AFTER_TROUBLE_SECONDS", 0.02)
