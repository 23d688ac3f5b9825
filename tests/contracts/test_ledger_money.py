"""Money: whatever happens in whatever order, the books agree, and nothing is paid twice."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event, select, text

from reelbatch.jobs import State
from reelbatch.ledger import Ledger, open_ledger
from reelbatch.ledger.answers import Why, accepted, doubt_the_late, doubted, not_sent, rejected
from reelbatch.ledger.claims import Claimed, Reused, Wait, claim
from reelbatch.ledger.keeping import kept, source_lost
from reelbatch.ledger.posts import lock_account
from reelbatch.ledger.results import Charge, Ending, settle_failed, settle_good
from reelbatch.ledger.schema import attempts, jobs, money_events
from tests.contracts.ledger_parts import (
    ACCOUNT,
    CRASHED,
    PRICE,
    REFUSED_PROMPT,
    THROTTLED,
    account,
    age,
    attempt,
    batch_named,
    check_books,
    claimed,
    entered,
    good,
    handle,
    job,
    jobs_of,
    pending,
    put,
    put_account,
    put_job,
    row,
    state,
    submitted,
    terms,
    unpark,
)
from tests.parts.waiting import wait_until

WINDOW = 3
BUDGET = "2.50"


class Walk:
    """Random moves on a small batch with twins, edits and impatient cancellations."""

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self.ledger = ledger
        self.chance = random.Random(seed)
        self.batch = batch_named(ledger)
        self.posts: list[str] = []
        self.paid_for: dict[str, str] = {}
        self.enter()

    def enter(self) -> None:
        """Five rows, two of them twins; one comes and goes, one is edited now and then."""
        manifest = [row("a", "A cat."), row("b", "A cat."), row("c", takes=2)]
        manifest += [row("d")] if self.chance.random() < 0.6 else []
        manifest += [row("e", self.chance.choice(["A dog.", "A fox."]))]
        entered(self.ledger, self.batch, manifest)

    def claim(self) -> None:
        wanted = self.chance.choice(jobs_of(self.ledger, self.batch))
        on = terms(window=WINDOW, budget=BUDGET, price=self.chance.choice([PRICE, Decimal("0.4")]))
        before = State(wanted["state"])
        answer = claim(self.ledger, wanted["id"], {}, on)
        if isinstance(answer, Claimed):
            assert before is State.PENDING
            assert not wanted["withdrawn"]
            self.posts.append(answer.attempt_id)

    def accept(self) -> None:
        accepted(self.ledger, self._post(), handle(f"r-{self.chance.randrange(40)}"))

    def lose(self) -> None:
        doubted(self.ledger, self._post(), "no answer")

    def not_send(self) -> None:
        not_sent(self.ledger, self._post(), "no route", park=self.chance.random() < 0.5)

    def refuse(self) -> None:
        rejected(self.ledger, self._post(), REFUSED_PROMPT, park=None)

    def throttle(self) -> None:
        rejected(self.ledger, self._post(), THROTTLED, park="throttled")

    def die(self) -> None:
        age(self.ledger, job(self.ledger, self._job())["id"], 60)
        doubt_the_late(self.ledger, ACCOUNT)

    def settle(self) -> None:
        settle_good(self.ledger, self._post(), good(), self.chance.choice([PRICE, Decimal("0.1")]))

    def fail(self) -> None:
        endings: list[Ending] = ["transient", "permanent", "start_timeout", "cancelled"]
        charges: list[Charge] = ["none", "maybe", "lost"]
        settle_failed(
            self.ledger, self._post(), CRASHED, ending=self.chance.choice(endings),
            charge=self.chance.choice(charges), price=PRICE,
        )  # fmt: skip

    def keep(self) -> None:
        kept(self.ledger, self._job(), "cats/a.mp4")

    def lose_source(self) -> None:
        job_id = self._job()
        if job(self.ledger, job_id)["reused_from"]:
            source_lost(self.ledger, job_id, Why(error_type="source_lost", message="Gone."))

    def retry(self) -> None:
        job_id = self._job()
        if state(self.ledger, job_id) is State.FAILED and not job(self.ledger, job_id)["withdrawn"]:
            put_job(self.ledger, job_id, state=State.PENDING)

    def wait(self) -> None:
        """Trouble passes, and so does the day."""
        unpark(self.ledger)
        with self.ledger.writing() as tx:
            tx.execute(jobs.update().values(not_before=None))
        if self.chance.random() < 0.2:
            self._a_day_passes()

    def _a_day_passes(self) -> None:
        day = timedelta(days=1)
        for attempt_id in self.posts:
            since = attempt(self.ledger, attempt_id)["claimed_at"] - day
            put(self.ledger, attempts, attempts.c.id == attempt_id, claimed_at=since)
        if today := account(self.ledger)["day"]:
            put_account(self.ledger, day=(date.fromisoformat(today) - day).isoformat())

    def _post(self) -> str:
        return self.chance.choice(self.posts) if self.posts else self._any_post()

    def _any_post(self) -> str:
        unpark(self.ledger)
        while not self.posts:
            self.claim()
        return self.posts[0]

    def _job(self) -> str:
        found: str = self.chance.choice(jobs_of(self.ledger, self.batch))["id"]
        return found

    def step(self) -> str:
        moves: list[Callable[[], None]] = [
            *[self.claim] * 6, *[self.accept] * 4, *[self.settle] * 3, *[self.keep] * 3,
            *[self.wait] * 3, self.enter, self.lose, self.not_send, self.refuse, self.throttle,
            self.die, self.fail, self.fail, self.lose_source, self.retry,
        ]  # fmt: skip
        move = self.chance.choice(moves)
        move()
        return move.__name__

    def check(self) -> None:
        """Reserved and spent as the attempts say; whatever fal may have holds money."""
        check_books(self.ledger)
        for one in jobs_of(self.ledger, self.batch):
            if one["state"] in (State.SUBMITTING, State.SUBMITTED, State.IN_DOUBT):
                post = attempt(self.ledger, one["attempt_id"])
                assert post["reserved_usd"] > 0, f"{one['state']} holds no money"


@pytest.mark.parametrize("seed", range(6))
def test_the_books_agree_after_every_move(ledger: Ledger, seed: int) -> None:
    """Answers come late, twice, from old attempts and out of order; no cent is made or lost."""
    walk = Walk(ledger, seed)
    moves = []
    for _ in range(60):
        moves.append(walk.step())
        try:
            walk.check()
        except AssertionError as problem:
            raise AssertionError(f"after {' '.join(moves)}: {problem}") from problem
    assert account(ledger)["spent_usd"] > 0


@pytest.mark.parametrize("seed", range(3))
def test_claims_alone_never_cross_window_or_budget(ledger: Ledger, seed: int) -> None:
    chance = random.Random(seed)
    waiting = pending(ledger, 20)
    on = terms(window=WINDOW, budget="1.90")
    for n in itertools.count():
        answer = claim(ledger, waiting[n % 20], {}, on)
        check_books(ledger, window=WINDOW)
        if isinstance(answer, Claimed) and chance.random() < 0.9:
            settle_good(ledger, answer.attempt_id, good(), PRICE)
        elif isinstance(answer, Wait):
            (stuck, *_) = (one for one in waiting if state(ledger, one) is State.SUBMITTING)
            settle_good(ledger, job(ledger, stuck)["attempt_id"], good(), PRICE)
        elif not isinstance(answer, Claimed) and n >= 20:
            break
    now = account(ledger)
    assert now["reserved_usd"] + now["spent_usd"] == Decimal("1.80")


def test_every_cent_has_its_event(ledger: Ledger) -> None:
    """The day a bill is questioned, each movement is there: when, for what, and why."""
    (job_id,) = pending(ledger)
    not_sent(ledger, claimed(ledger, job_id).attempt_id, "no route", park=False)
    attempt_id = submitted(ledger, job_id)
    settle_good(ledger, attempt_id, good(), Decimal("0.25"))
    with ledger.reading() as tx:
        told = tx.execute(
            select(money_events.c.kind, money_events.c.usd, money_events.c.basis).order_by(
                money_events.c.id
            )
        ).all()
    assert [tuple(one) for one in told] == [
        ("reserve", PRICE, None),
        ("release", PRICE, None),
        ("reserve", PRICE, None),
        ("settle", Decimal("0.25"), "priced"),
    ]
    assert account(ledger)["day_usd"] == Decimal("0.25")


def test_millionths_are_kept_exactly(ledger: Ledger) -> None:
    """A tenth of a cent a thousand times is a dollar."""
    price = Decimal("0.001001")
    for job_id in pending(ledger, 30):
        settle_good(ledger, claimed(ledger, job_id, terms(price=price)).attempt_id, good(), price)
    assert account(ledger)["spent_usd"] == Decimal("0.030030")
    check_books(ledger)


def test_an_attempt_s_number_is_read_under_the_lock(postgres: str) -> None:
    """A claim that waited for the lock sees what the holder did, not what it had read before."""
    ledger, other = open_ledger(postgres), open_ledger(postgres)
    (job_id,) = pending(ledger)
    first = claimed(ledger, job_id).attempt_id
    with ThreadPoolExecutor(1) as thread:
        with ledger.engine.connect() as holder:
            lock_account(holder, ACCOUNT)
            waiter = thread.submit(settle_failed, other, first, CRASHED, ending="transient",
                                   charge="none", price=PRICE)  # fmt: skip
            wait_until(lambda: _somebody_waits(ledger), description="a settle waits for the lock")
            holder.execute(jobs.update().where(jobs.c.id == job_id).values(transient_failures=1))
            holder.commit()
        assert waiter.result() is State.FAILED
    ledger.close()
    other.close()


def _somebody_waits(ledger: Ledger) -> bool:
    with ledger.reading() as tx:
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(tx.execute(waiting).scalar())


def test_a_twin_archived_while_we_look_is_not_paid_again(postgres: str) -> None:
    """Between two questions it could have left flight and not yet be seen in the archive."""
    ledger, other = open_ledger(postgres), open_ledger(postgres)
    batch = batch_named(ledger)
    entered(ledger, batch, [row("a", "A cat."), row("b", "A cat.")])
    first, second = (one["id"] for one in jobs_of(ledger, batch))
    settle_good(ledger, submitted(ledger, first), good(), PRICE)

    def archive_it(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "fingerprint =" in statement:
            kept(other, first, "cats/a.mp4")

    event.listen(ledger.engine, "after_cursor_execute", archive_it)
    answer = claim(ledger, second, {}, terms())
    assert isinstance(answer, Wait | Reused), answer
    ledger.close()
    other.close()
