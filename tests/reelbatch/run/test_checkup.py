"""The checks of `doctor`: each trouble shows in its own line, and in no other."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from reelbatch.cli.emulated import EmulatedFal
from reelbatch.cli.ports import free_port
from reelbatch.config import Settings
from reelbatch.errors import Refused
from reelbatch.fal.client import open_fal
from reelbatch.ledger import Ledger, open_ledger
from reelbatch.run.checkup import keeping
from reelbatch.run.checkup.at_fal import FalLooks
from reelbatch.run.checkup.check import Check, Found, looked, ok
from reelbatch.run.checkup.everything import check_up
from reelbatch.run.unwaited import in_thread
from tests.parts.emulator import Emulator
from tests.parts.s3_trouble import TroubledS3
from tests.parts.small_disk import MB, mounted, needs_mount

UNUSED = {"webhook", "signatures", "worker"}
"""Without webhooks and without Prefect."""


@pytest.fixture(scope="module")
def one_emulator() -> Iterator[Emulator]:
    emulator = Emulator(EmulatedFal.start(options=["--require-key=emulated:key"]))
    yield emulator
    emulator.stop()


@pytest.fixture
def fal(one_emulator: Emulator) -> Emulator:
    one_emulator.mend()
    one_emulator.unlock()
    return one_emulator


@pytest.fixture
def settings(fal: Emulator, tmp_path: Path) -> Settings:
    """All is well with these."""
    places = {"archive": str(tmp_path), "ledger": f"sqlite:///{tmp_path}/ledger.db"}
    return Settings(**{**fal.settings, **places})


async def unwell(settings: Settings, **environment: str) -> dict[str, str]:
    """Every check that is not ok, by name; those without anything to look at left out."""
    checks = await check_up(settings, environment)
    assert [check.name for check in checks if check.name in UNUSED] == [
        "webhook",
        "signatures",
        "worker",
    ]
    return {
        check.name: check.verdict
        for check in checks
        if check.verdict != "ok" and (check.verdict, check.name in UNUSED) != ("skipped", True)
    }


async def one(settings: Settings, name: str, **environment: str) -> Check:
    return next(c for c in await check_up(settings, environment) if c.name == name)


async def test_all_is_well_and_nothing_is_left_behind(settings: Settings, tmp_path: Path) -> None:
    open_ledger(settings.ledger_url).close()
    before = sorted(os.listdir(tmp_path))
    assert await unwell(settings) == {}
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    ("fault", "status", "name", "verdict"),
    [
        ("history_error", 403, "requests", "warning"),
        ("history_error", 503, "requests", "warning"),
        ("history_redirected", None, "requests", "warning"),
        ("billing_error", 403, "bill", "warning"),
        ("pricing_error", 403, "prices", "warning"),
        ("unknown_price", None, "prices", "warning"),
        ("token_locked", None, "account", "bad"),
        ("token_error", 500, "account", "bad"),
        ("unknown_nginx", 502, "key", "warning"),
    ],
)
async def test_each_trouble_of_fal_shows_in_its_own_line(
    settings: Settings, fal: Emulator, fault: str, status: int | None, name: str, verdict: str
) -> None:
    fal.break_(fault, **({} if status is None else {"with_": {"status": status}}))
    assert await unwell(settings) == {name: verdict}


async def test_where_no_prefect_is_named_a_run_starts_its_own(settings: Settings) -> None:
    found = await one(settings, "prefect")
    assert (found.verdict, "a run starts a server" in found.message) == ("ok", True), found


async def test_a_locked_account_is_told_in_fals_words(settings: Settings, fal: Emulator) -> None:
    fal.lock()
    found = await one(settings, "account")
    assert (found.verdict, "Top up your balance" in found.message) == ("bad", True), found
    assert "op up" in found.advice


async def test_a_key_that_fal_refuses_is_one_trouble_and_not_six(settings: Settings) -> None:
    wrong = Settings(**{**settings.model_dump(), "fal_key": "somebody:else"})
    rest = dict.fromkeys(("account", "prices", "requests", "bill"), "skipped")
    assert await unwell(wrong) == {"key": "bad", **rest}
    none = settings.model_copy(update={"fal_key": None})
    assert await unwell(none) == {"key": "bad", **rest, "clock": "skipped"}


async def test_prices_a_person_gave_need_no_list(settings: Settings, fal: Emulator) -> None:
    fal.break_("pricing_error")
    given = Settings(**{**settings.model_dump(), "price": "0.25"})
    found = await one(given, "prices")
    assert (found.verdict, found.message) == ("ok", "$0.25 a video (as you said).")


@pytest.mark.parametrize(("ahead", "verdict"), [(0, "ok"), (-90, "warning"), (600, "bad")])
async def test_a_clock_that_is_off_is_told(settings: Settings, ahead: int, verdict: str) -> None:
    async with open_fal(settings, now=lambda: time.time() + ahead) as opened:
        found = await FalLooks(settings, opened).clock()
    assert found.verdict == verdict
    assert ("ahead" in found.message, "behind" in found.message) == (ahead > 0, ahead < 0)


async def test_another_programs_database_is_no_ledger(settings: Settings, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as database, database:
        database.execute("CREATE TABLE songs (title TEXT)")
    found = await one(settings, "ledger")
    assert (found.verdict, "'songs'" in found.message) == ("bad", True), found


@pytest.mark.parametrize(("seconds", "said"), [(40, "40 s ahead of"), (-40, "40 s behind")])
async def test_a_ledger_whose_clock_is_another_is_a_warning(
    settings: Settings, postgres: str, seconds: int, said: str
) -> None:
    with closing(open_ledger(postgres)) as ledger:
        shift_clock(ledger, seconds)
    found = await keeping.ledger(settings.model_copy(update={"ledger": postgres}))
    assert (found.verdict, f"its clock is {said} this machine's" in found.message) == (
        "warning",
        True,
    ), found
    assert "NTP" in found.advice


def shift_clock(ledger: Ledger, seconds: int) -> None:
    """For its database, whose next connections find this clock before Postgres's own."""
    name = ledger.engine.url.database
    statements = (
        "CREATE SCHEMA wrong",
        "CREATE FUNCTION wrong.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS "
        f"$$ SELECT pg_catalog.clock_timestamp() + interval '{seconds} s' $$",
        f"ALTER DATABASE {name} SET search_path = wrong, public, pg_catalog",
    )
    with ledger.writing() as tx:
        for statement in statements:
            tx.execute(text(statement))


async def test_a_ledger_that_somebody_holds_is_told(settings: Settings, tmp_path: Path) -> None:
    open_ledger(settings.ledger_url).close()
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        found = await keeping.ledger(settings, patience_seconds=0.3)
    assert (found.verdict, "another program holds it" in found.message) == ("bad", True), found


async def test_a_password_is_not_shown(settings: Settings) -> None:
    url = "postgresql://me:hush-0123@127.0.0.1:1/none"
    found = await one(settings.model_copy(update={"ledger": url}), "ledger")
    assert (found.verdict, "hush" in repr(found)) == ("bad", False), found


async def test_an_archive_that_is_a_file_is_told(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    moved = settings.model_copy(update={"archive": str(tmp_path / "file")})
    assert await unwell(moved) == {"archive": "bad"}


async def test_an_archive_still_to_be_made_is_not_made(settings: Settings, tmp_path: Path) -> None:
    moved = settings.model_copy(update={"archive": str(tmp_path / "new" / "place")})
    assert await unwell(moved) == {}
    assert not (tmp_path / "new").exists()


@pytest.fixture
def bucket(
    troubled_s3: TroubledS3, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    for name, value in troubled_s3.environment.items():
        monkeypatch.setenv(name, value)
    return settings.model_copy(update={"archive": f"s3://{troubled_s3.weed.new_bucket()}/reels"})


async def test_a_bucket_is_tried_and_left_as_it_was(
    bucket: Settings, troubled_s3: TroubledS3
) -> None:
    assert (await keeping.archive(bucket)).verdict == "ok"
    name = bucket.archive.removeprefix("s3://").partition("/")[0]
    assert troubled_s3.weed.keys(name) == []


async def test_who_may_not_delete_is_well_all_the_same(
    bucket: Settings, troubled_s3: TroubledS3
) -> None:
    """PutObject and GetObject are enough: one small file stays, and the next look knows it."""
    name = bucket.archive.removeprefix("s3://").partition("/")[0]
    for content in (b"one\n", b"two\n"):
        key = "reels/.reelbatch-doctor/probe.txt"
        troubled_s3.weed.client.put_object(Bucket=name, Key=key, Body=content)
        assert (await keeping.archive(bucket)).verdict == "ok"


async def test_a_bucket_that_is_not_there_is_told(bucket: Settings) -> None:
    found = await looked("archive", lambda: keeping.archive(_other_bucket(bucket)))
    assert (found.verdict, "does not exist" in found.message) == ("bad", True), found


def _other_bucket(settings: Settings) -> Settings:
    return settings.model_copy(update={"archive": "s3://nobodys-bucket/reels"})


async def test_an_archive_that_is_not_reached_is_told(
    bucket: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    found = await keeping.archive(bucket, patience_seconds=0.3)
    assert (found.verdict, found.message) == ("bad", f"{bucket.archive} was not reached in 0.3 s.")
    assert "AWS_ENDPOINT_URL_S3" in found.advice


async def test_a_store_that_refuses_puts_is_told(bucket: Settings, troubled_s3: TroubledS3) -> None:
    troubled_s3.break_("403 AccessDenied", of="probe.txt")
    found = await looked("archive", lambda: keeping.archive(bucket))
    assert (found.verdict, "s3:PutObject" in found.advice) == ("bad", True), found


@needs_mount
@pytest.mark.parametrize(("size", "verdict"), [(16 * MB, "bad"), (512 * MB, "warning")])
async def test_a_disk_with_little_room_is_told(
    settings: Settings, tmp_path: Path, size: int, verdict: str
) -> None:
    with mounted(tmp_path / "disk", size=size) as folder:
        kept = settings.model_copy(update={"archive": str(folder)})
        assert await unwell(kept) == {"disk": verdict}


async def test_prefect_that_is_down_is_told(settings: Settings) -> None:
    url = "http://127.0.0.1:1/api"
    assert await unwell(settings, PREFECT_API_URL=url) == {"prefect": "bad"}


async def test_a_check_that_fails_stops_no_other() -> None:
    async def refused() -> Found:
        raise Refused("No https://a.example/x?signature=hush here.", advice="Go.")

    async def broken() -> Found:
        raise ZeroDivisionError

    async def well() -> Found:
        return ok("well")

    looks = {"refused": refused, "broken": broken, "well": well}
    found = await asyncio.gather(*(looked(name, look) for name, look in looks.items()))
    assert [check.verdict for check in found] == ["bad", "bad", "ok"]
    assert found[0].message == "No https://a.example/x here."
    assert "ZeroDivisionError" in found[1].message


async def test_a_place_without_answers_does_not_hold_up_the_end() -> None:
    """Its thread is nobody's: neither the loop nor the program waits for it."""
    never, before = threading.Event(), set(threading.enumerate())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await in_thread(never.wait)
    (left,) = set(threading.enumerate()) - before
    never.set()
    left.join()
    assert left.daemon
