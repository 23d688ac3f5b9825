"""Opening: one ledger for all who come, and one sentence for what cannot be one."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from reelbatch.errors import Refused, Transient
from reelbatch.jobs import State
from reelbatch.ledger import Ledger, engine, open_ledger, open_ledger_to_read
from reelbatch.ledger.batches import all_batches
from reelbatch.ledger.condition import condition_of
from reelbatch.ledger.migrate import HEAD
from reelbatch.ledger.places import file_system, refuse_network_file_system
from reelbatch.ledger.posts import lock_account
from reelbatch.ledger.schema import metadata
from tests.contracts.ledger_parts import (
    ACCOUNT,
    batch_named,
    claimed,
    entered,
    job,
    jobs_of,
    pending,
    rows,
)

OPEN_AND_ENTER = """
import sys
from reelbatch.ledger import open_ledger
from tests.contracts.ledger_parts import batch_named, entered, rows
sys.stdin.read(1)
ledger = open_ledger(sys.argv[1])
entered(ledger, batch_named(ledger), rows(20))
print(ledger.id)
"""


def _four_at_once(url: str) -> list[str]:
    """Four processes that are let go together, and what each of them printed."""
    command = [sys.executable, "-c", OPEN_AND_ENTER, url]
    crowd = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in crowd:
        assert process.stdin is not None
        process.stdin.write("g")
        process.stdin.flush()
    told = [process.communicate() for process in crowd]
    assert [process.returncode for process in crowd] == [0] * 4, told
    return [out.strip() for out, _ in told]


def _change(url: str, statement: str) -> None:
    """As another release, or another program, would."""
    plain: Engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with plain.begin() as connection:
        connection.execute(text(statement))
    plain.dispose()


def test_four_processes_make_one_ledger(new_ledger_url: str) -> None:
    """They start on one that does not exist yet: it gets one id, and the manifest is in once."""
    assert len(set(_four_at_once(new_ledger_url))) == 1
    ledger = open_ledger(new_ledger_url)
    assert len(jobs_of(ledger, batch_named(ledger))) == 20
    ledger.close()


def test_a_ledger_keeps_its_id(ledger: Ledger, ledger_url: str) -> None:
    """Archives remember it."""
    again = open_ledger(ledger_url)
    assert again.id == ledger.id
    again.close()


def test_the_migrated_schema_is_the_one_the_code_speaks_of(ledger: Ledger) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with ledger.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_the_url_that_people_see_holds_no_password() -> None:
    url = "postgresql://me:secret@127.0.0.1:1/nowhere"
    with pytest.raises(Refused) as refused:
        open_ledger(url)
    assert "secret" not in str(refused.value)
    assert "127.0.0.1" in str(refused.value)


@pytest.mark.parametrize("open_it", [open_ledger, open_ledger_to_read])
def test_a_newer_ledger_is_left_alone(
    ledger: Ledger, ledger_url: str, open_it: Callable[[str], Ledger | None]
) -> None:
    """Also by `plan`: it must not say that all is new."""
    _change(ledger_url, "UPDATE alembic_version SET version_num = '9001'")
    try:
        with pytest.raises(Refused, match=r"newer Reelbatch \(schema 9001.*Upgrade Reelbatch"):
            open_it(ledger_url)
    finally:
        _change(ledger_url, f"UPDATE alembic_version SET version_num = '{HEAD}'")


@pytest.mark.parametrize("open_it", [open_ledger, open_ledger_to_read])
def test_another_program_s_database_is_left_alone(
    new_ledger_url: str, open_it: Callable[[str], Ledger | None]
) -> None:
    """Even one that keeps an alembic_version of its own, as Prefect's does."""
    _change(new_ledger_url, "CREATE TABLE alembic_version (version_num TEXT)")
    _change(new_ledger_url, "CREATE TABLE flow_run (id TEXT)")
    with pytest.raises(Refused, match="not a ledger of Reelbatch"):
        open_it(new_ledger_url)


@pytest.mark.parametrize("open_it", [open_ledger, open_ledger_to_read])
def test_a_file_that_is_no_database_is_left_alone(
    tmp_path: Path, open_it: Callable[[str], Ledger | None]
) -> None:
    manifest = tmp_path / "cats.csv"
    manifest.write_text("prompt\n" + "A cat.\n" * 100)
    before = manifest.read_bytes()
    with pytest.raises(Refused, match="cannot be opened: file is not a database"):
        open_it(f"sqlite:///{manifest}")
    assert manifest.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(Refused, match=r"folder .*file/below cannot be made.*REELBATCH_LEDGER"):
        open_ledger(f"sqlite:///{tmp_path}/file/below/ledger.db")


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be opened: unable to open database file"):
        open_ledger(f"sqlite:///{tmp_path}")


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/database", "mssql+pyodbc://host/db"])
def test_other_databases_are_one_sentence(url: str) -> None:
    with pytest.raises(Refused, match=r"sqlite:////absolute/path/ledger\.db"):
        open_ledger(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@127.0.0.1:1/nowhere?application_name=a",
        "postgresql://me@127.0.0.1:1/nowhere?password=hunter2",
        "postgresql:me:hunter2@host/ledger",
        "mysql://me:hunter2@host/ledger",
    ],
)
def test_no_refusal_quotes_a_password(url: str) -> None:
    with pytest.raises(Refused) as refused:
        open_ledger(url)
    assert "hunter2" not in str(refused.value)


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(Refused, match=r"cannot be opened: .*REELBATCH_LEDGER") as refused:
        open_ledger("postgresql://me@127.0.0.1:1/nowhere")
    assert "\n" not in str(refused.value)


def test_a_folder_s_name_may_be_anything(tmp_path: Path) -> None:
    """A percent sign, a hash and spaces mean nothing here."""
    place = tmp_path / "50% of cats, yes #1" / "ledger.db"
    open_ledger(f"sqlite:///{place}").close()
    assert place.exists()


def test_a_network_file_system_is_refused(tmp_path: Path) -> None:
    """SQLite's locks do not hold there, and two claims of one place would both be paid."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda1 / ext4 rw 0 0\n"
        "server:/home /mnt/team\\040share nfs4 rw 0 0\n"
        "/dev/sdb1 /mnt/team\\040share/local xfs rw 0 0\n"
        "drive /mnt/windows 9p rw 0 0\n"
    )
    assert file_system(Path("/mnt/team share/cats"), mounts) == "nfs4"
    assert file_system(Path("/mnt/team share/local/cats"), mounts) == "xfs"
    assert file_system(Path("/mnt/teams"), mounts) == "ext4"
    refuse_network_file_system(Path("/mnt/team share/local/ledger.db"), mounts)
    for place in ("/mnt/team share/ledger.db", "/mnt/windows/not/yet/there/ledger.db"):
        with pytest.raises(Refused, match=r"network file system .*or use Postgres"):
            refuse_network_file_system(Path(place), mounts)


def test_a_machine_that_tells_no_mounts_refuses_nothing(tmp_path: Path) -> None:
    """macOS has no /proc."""
    assert file_system(tmp_path, tmp_path / "no-mounts") is None
    refuse_network_file_system(tmp_path / "ledger.db", tmp_path / "no-mounts")


def test_reading_makes_no_ledger(tmp_path: Path, postgres: str) -> None:
    """`plan` writes nothing, not even a folder."""
    place = tmp_path / "not" / "yet" / "ledger.db"
    assert open_ledger_to_read(f"sqlite:///{place}") is None
    assert not place.parent.exists()
    assert open_ledger_to_read(postgres) is None
    _change(postgres, "CREATE TABLE alembic_version (version_num TEXT)")


def test_a_ledger_that_is_down_is_not_one_still_to_be_made(postgres: str, tmp_path: Path) -> None:
    """`plan` would call all of its rows new."""
    with pytest.raises(Refused, match="cannot be opened"):
        open_ledger_to_read("postgresql://me@127.0.0.1:1/none")
    with pytest.raises(Refused, match="cannot be opened"):
        open_ledger_to_read(f"{postgres}_of_nobody")
    with pytest.raises(Refused, match="cannot be opened"):
        open_ledger_to_read(f"sqlite:///{tmp_path}")


def test_the_schema_in_use_is_told_without_making_or_changing_it(new_ledger_url: str) -> None:
    assert condition_of(new_ledger_url) is None
    assert condition_of(new_ledger_url) is None, "the first look made none"
    open_ledger(new_ledger_url).close()
    found = condition_of(new_ledger_url)
    assert found is not None
    assert (found.schema, abs(found.clock_ahead_seconds) < 5) == (HEAD, True)


def test_a_database_that_takes_no_writes_is_refused(postgres: str) -> None:
    """A standby, say. Reading it is no help to a run."""
    open_ledger(postgres).close()
    database = make_url(postgres).database
    _change(postgres, f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    with pytest.raises(Refused, match="takes no writes: cannot execute UPDATE in a read-only"):
        condition_of(postgres)


def test_reading_sees_what_is_there(ledger: Ledger, ledger_url: str) -> None:
    pending(ledger, 2)
    reader = open_ledger_to_read(ledger_url)
    assert reader is not None
    assert reader.id == ledger.id
    assert [batch.name for batch in all_batches(reader)] == ["cats"]
    reader.close()


def test_a_reading_is_one_moment(ledger: Ledger, ledger_url: str) -> None:
    """What another process commits meanwhile is not in it: counts and money agree."""
    batch = batch_named(ledger)
    other = open_ledger(ledger_url)
    with ledger.reading() as tx:
        count = text("SELECT count(*) FROM jobs")
        assert tx.execute(count).scalar() == 0
        entered(other, batch, rows(3))
        assert tx.execute(count).scalar() == 0
    other.close()
    assert len(jobs_of(ledger, batch)) == 3


def test_a_sqlite_ledger_syncs_every_commit(tmp_path: Path) -> None:
    """A power cut may cost nothing that was committed: the POST follows the commit."""
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    with ledger.reading() as tx:
        assert tx.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert tx.execute(text("PRAGMA synchronous")).scalar() == 2
    ledger.close()


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    """No submission without a place to write it down; what was paid stays on record."""
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    batch = batch_named(ledger)
    with ledger.engine.connect() as connection:
        used = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {used + 2}"))
    with pytest.raises(Transient, match=r"disk is full.*Free some disk space"):
        entered(ledger, batch, rows(500))
    ledger.close()


def test_a_ledger_that_another_program_holds_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    holder = sqlite3.connect(tmp_path / "ledger.db")
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Transient, match=r"database is locked.*Another program holds it"):
        pending(ledger)
    holder.close()
    assert len(pending(ledger)) == 1
    ledger.close()


def test_after_a_wait_in_vain_the_next_writes_do_not_wait_as_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that has to end has a word to write for each job; else it would take for ever."""
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    holder = sqlite3.connect(tmp_path / "ledger.db")
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Transient, match="database is locked"):
        pending(ledger)
    monkeypatch.setattr(engine, "BUSY_SECONDS", 1000.0)
    ledger.engine.dispose()
    with pytest.raises(Transient, match="database is locked"):
        pending(ledger)
    holder.close()
    pending(ledger)
    with ledger.writing() as tx:
        assert tx.execute(text("PRAGMA busy_timeout")).scalar() == 1_000_000
    ledger.close()


def test_a_database_error_quotes_no_value(ledger: Ledger) -> None:
    """Prompts and signed links would end in the traceback, and with it in Prefect's log."""
    values = {"link": "".join(["hunter", "2"])}
    with pytest.raises((Transient, DBAPIError)) as caught, ledger.writing() as tx:
        tx.execute(text("INSERT INTO nowhere VALUES (:link)"), values)
    said = "".join(traceback.format_exception(caught.value))
    assert "INSERT INTO nowhere" in said
    assert "hunter2" not in said


def test_a_sleeper_within_a_move_holds_nobody_up_for_long(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suspended machine keeps its transaction open; Postgres ends that, and the rest goes on."""
    monkeypatch.setattr(engine, "BUSY_SECONDS", 1.0)
    with closing(open_ledger(postgres)) as asleep, closing(open_ledger(postgres)) as awake:
        (job_id,) = pending(asleep)
        with pytest.raises(Transient, match="went away"):
            _sleep_while_another_claims(asleep, awake, job_id)
        assert job(awake, job_id)["state"] == State.SUBMITTING


def _sleep_while_another_claims(asleep: Ledger, awake: Ledger, job_id: str) -> None:
    with asleep.writing() as tx:
        lock_account(tx, ACCOUNT)
        claimed(awake, job_id)
        lock_account(tx, ACCOUNT)
