"""One batch of reelbatch through one storm, and the verdict: the score, and all that is wrong."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from bench.books import last_deadline, states_of, wrongs
from bench.counting import Score, Submission, duplicates, lost, score
from bench.findings import Findings
from bench.ordeal import Door, Ordeal
from bench.receiver import receiving
from bench.rows import write_manifest
from bench.storm import BUSY_SHARE, SLOTS, WINDOW, Storm
from reelbatch.cli.emulated import EmulatedFal
from reelbatch.cli.ports import free_port
from reelbatch.ledger import Ledger, open_ledger

REELBATCH = (sys.executable, "-m", "reelbatch.cli")
HOW = ("--yes", "--json", f"--max-in-flight={WINDOW}")
IMPATIENT = {
    "REELBATCH_START_TIMEOUT": "8",
    "REELBATCH_RUN_TIMEOUT": "6",
    "REELBATCH_IN_DOUBT_GRACE": "4",
}
MOST_ROUNDS = 20
ONE_STORM = threading.Lock()
"""Of several batches; the calm of one may pass while the storm of the next one blows."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    ordeal: str
    score: Score
    wrong: Sequence[str]

    @property
    def clean(self) -> bool:
        return self.score.clean and not self.wrong


@dataclass(frozen=True, kw_only=True)
class Trial:
    storm: Storm
    jobs: int
    processes: int
    ledger_url: str
    prefect_url: str
    folder: Path

    def run(self) -> Verdict:
        fal = EmulatedFal.start(
            concurrency=SLOTS,
            service_seconds=BUSY_SHARE * SLOTS * self.storm.seconds / self.jobs,
            options=["--media=tiny"],
        )
        try:
            return self._through(self._ordeal(fal))
        finally:
            fal.stop()

    def _through(self, ordeal: Ordeal) -> Verdict:
        with ExitStack() as stack:
            with ONE_STORM:
                if self.storm.by_webhook:
                    stack.enter_context(self._receiver(ordeal))
                ordeal.run()
            ledger = stack.enter_context(closing(open_ledger(self.ledger_url)))
            until_nothing_moves(ordeal, ledger)
            return judged(ordeal, ledger)

    def _receiver(self, ordeal: Ordeal) -> AbstractContextManager[None]:
        return receiving(
            [*REELBATCH, "serve"],
            ordeal.environment,
            self.folder / "said" / "serve.err",
            luck=Random(f"receiver {self.storm.seed}"),
            calm=ordeal.over,
        )

    def _ordeal(self, fal: EmulatedFal) -> Ordeal:
        manifest = write_manifest(self.folder, self.jobs)
        return Ordeal(
            storm=self.storm,
            door=Door(fal),
            command=[*REELBATCH, "run", str(manifest), *HOW],
            environment=self._environment(fal),
            folder=self.folder,
            at_work=b"in flight",
            lanes=self.processes,
        )

    def _environment(self, fal: EmulatedFal) -> dict[str, str]:
        outside = {k: v for k, v in os.environ.items() if not k.startswith("REELBATCH_")}
        return {
            **outside,
            **fal.environment,
            **IMPATIENT,
            "REELBATCH_LEDGER": self.ledger_url,
            "REELBATCH_ARCHIVE": str(self.folder / "archive"),
            "PREFECT_API_URL": self.prefect_url,
            **(by_webhook(free_port()) if self.storm.by_webhook else {}),
        }


def by_webhook(port: int) -> dict[str, str]:
    return {
        "REELBATCH_COLLECT": "webhook",
        "REELBATCH_WEBHOOK_PORT": str(port),
        "REELBATCH_WEBHOOK_URL": f"http://127.0.0.1:{port}",
    }


def until_nothing_moves(ordeal: Ordeal, ledger: Ledger) -> None:
    """In the calm: run, and ask again for what failed, until only hopeless doubts are left."""
    for _ in range(MOST_ROUNDS):
        begun = datetime.now(UTC)
        totals = totals_of(ordeal.start())
        if totals and totals["failed"]:
            totals = totals_of(ordeal.start(*REELBATCH, "retry", "storm", *HOW))
        moving = not totals or totals["failed"] or totals["remaining"]
        if not moving and last_deadline(ledger) < begun:
            return


def totals_of(said: Path) -> Mapping[str, Any]:
    words = said.with_suffix(".out").read_text()
    return dict(json.loads(words)) if words.strip() else {}


def judged(ordeal: Ordeal, ledger: Ledger) -> Verdict:
    submissions = ordeal.door.submissions()
    found = Findings.of(ordeal.folder, submissions, states_of(ledger), ordeal.door)
    return Verdict(
        ordeal=str(ordeal),
        score=score(
            submissions,
            archived=found.archived,
            in_doubt=found.in_doubt,
            damaged=found.damaged,
        ),
        wrong=[
            *said_of(submissions, found),
            *wrongs(ledger, submissions),
            *tracebacks(ordeal.folder),
            *(f"it hung: {said}" for said in ordeal.hung),
        ],
    )


def said_of(submissions: Sequence[Submission], found: Findings) -> Iterator[str]:
    for one in duplicates(submissions):
        yield f"duplicate: {one['request_id']} for {one['body']['prompt']!r}"
    for prompt in lost(submissions, archived=found.archived, in_doubt=found.in_doubt):
        yield f"lost: {prompt!r}, which is {found.states.get(prompt)} in the ledger"
    for prompt, flaw in found.damaged.items():
        yield f"damaged: {prompt!r}: {flaw}"


def tracebacks(folder: Path) -> Iterator[str]:
    for said in sorted((folder / "said").glob("*.err")):
        if "Traceback" in said.read_text(errors="replace"):
            yield f"a traceback in {said}"
