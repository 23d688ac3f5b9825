"""What cannot work is refused before any money is spent: exit 2, one sentence, no traceback.

A manifest's faults are looked for by the command called in this process; everything that
needs a network, a database or an archive is the real command.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from reelbatch.cli import main
from reelbatch.cli.ports import free_port
from reelbatch.cli.prefect_server import CLIENT_SETTINGS
from tests.acceptance.conftest import World
from tests.parts.command import Finished
from tests.parts.emulator import StartEmulator
from tests.parts.weed import Weed

Typed = Callable[..., Finished]

CATS = "id,prompt,seed\ntom,A cat on a wall,1\nfelix,A cat in a box,2\n"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00"

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefg", "bcdefgh", strict=True)
)

FAULTS: dict[str, tuple[str, str | bytes, str]] = {
    "empty": ("cats.csv", "", "cats.csv: The manifest is empty."),
    "header only": ("cats.csv", "id,prompt\n", "cats.csv: The manifest has no rows."),
    "no text": ("cats.csv", PNG, "is no text in any encoding we read."),
    "too many cells": ("cats.csv", "id,prompt\na,b,c\n", "cats.csv:2: The row has 3 cells"),
    "too few cells": ("cats.csv", "id,prompt\na\n", "cats.csv:2: The row has 1 cell"),
    "row of 10 MB": (
        "cats.csv",
        f'id,prompt\na,"{"me" * 5 * 1024 * 1024}"\n',
        "cats.csv:2: The row has 10 MB",
    ),
    "column twice": ("cats.csv", "prompt,seed,Seed\na,1,2\n", "cats.csv:1: The column 'Seed'"),
    "no prompt column": ("cats.csv", "id,words\na,b\n", "No column is named 'prompt'"),
    "yaml tag": ("cats.yaml", "rows: !!python/object:os.x []\n", "cats.yaml:1: The tag"),
    "alias bomb": ("cats.yaml", BOMB, "Its aliases unfold to more than any manifest needs."),
    "duplicate id": ("cats.csv", "id,prompt\na,b\na,c\n", "cats.csv:3: The id 'a'"),
    "seed": ("cats.csv", "prompt,seed\na,abc\n", "cats.csv:2: seed 'abc' is not an integer."),
    "99 steps": ("cats.csv", "prompt,num_inference_steps\na,99\n", "cats.csv:2: num_inference"),
    "resolution": (
        "cats.csv",
        "prompt,resolution\na,640x480\n",
        "resolution '640x480' is unknown",
    ),
    "image's resolution": (
        "cats.csv",
        "prompt,image,resolution\na,tom.png,992x512\n",
        "cats.csv:2: ",
    ),
    "image missing": ("cats.csv", "prompt,image\na,nowhere.png\n", "There is no image"),
    "no image": ("cats.csv", "prompt,image\na,cats.csv\n", "The image cannot be decoded"),
    "image of 0 bytes": ("cats.csv", "prompt,image\na,empty.png\n", "The image has 0 bytes."),
    "image of 100 MB": ("cats.csv", "prompt,image\na,large.png\n", "100 MB"),
    "http image": ("cats.csv", "prompt,image\na,http://example.com/a.png\n", "is not https"),
    "private image": ("cats.csv", "prompt,image\na,https://10.0.0.1/a.png\n", "private address"),
    "metadata image": ("cats.csv", "prompt,image\na,https://169.254.169.254/\n", "private address"),
    "climbing output": ("cats.csv", "prompt,output\na,../../a.mp4\n", "cats.csv:2: The output"),
    "absolute output": ("cats.csv", "prompt,output\na,/etc/a.mp4\n", "cats.csv:2: The output"),
    "colliding output": ("cats.csv", "prompt,output\na,x.mp4\nb,x.mp4\n", "cats.csv:3: Its video"),
}


@pytest.fixture
def typed(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """The command as if typed, in this process: an exception that is no exit fails the test."""
    for name in {*os.environ, *CLIENT_SETTINGS} - {"PATH"}:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**CLIENT_SETTINGS, **world.command.environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(world.folder)

    def type_in(*arguments: str) -> Finished:
        monkeypatch.setattr(sys, "argv", ["reelbatch", *arguments])
        code: Any = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        said = capsys.readouterr()
        return Finished(code=code, stdout=said.out, stderr=said.err)

    return type_in


@pytest.fixture(autouse=True)
def nothing_is_bought(world: World) -> Iterator[None]:
    """By any of them."""
    yield
    assert world.accepted == 0


def refused(done: Finished, *sentences: str) -> None:
    assert done.code == 2, done.text
    assert all(sentence in done.stderr for sentence in sentences), done.text
    assert "Traceback" not in done.stderr, done.text


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_manifest_is_refused_with_its_own_sentence(
    fault: str, typed: Typed, world: World
) -> None:
    name, content, sentence = FAULTS[fault]
    world.write(name, content)
    large = world.write("large.png", "")
    os.truncate(large, 100 * 1024 * 1024)
    world.write("empty.png", "")
    refused(typed("run", name, "--yes"), sentence, "nothing was submitted")


def test_every_fault_is_told_at_once(typed: Typed, world: World) -> None:
    world.write("cats.csv", "prompt,seed,num_inference_steps\na,x,99\n,1,50\nc,-1,0\n")
    lines = typed("run", "cats.csv", "--yes").stderr.splitlines()
    assert [line.split(":")[1] for line in lines[:-1]] == ["2", "2", "3", "4", "4"], lines


def test_a_column_nearly_known_is_a_warning_with_a_suggestion(typed: Typed, world: World) -> None:
    world.write("cats.csv", "prompt,sead\na,7\n")
    done = typed("plan", "cats.csv")
    assert done.code == 0, done.text
    assert "did you mean 'seed'?" in done.text


def test_a_folder_is_no_manifest(typed: Typed, world: World) -> None:
    (world.folder / "folder").mkdir()
    refused(typed("run", "folder", "--yes"), "folder is a directory", "nothing was submitted")


def test_a_manifest_that_is_not_there_is_named_with_its_folder(world: World) -> None:
    """As given, and where that leads: mostly somebody stands in another folder than he thinks."""
    sentence = f"There is no manifest cats/nowhere.csv, looked for in {world.folder}/cats."
    refused(world.run("cats/nowhere.csv"), sentence, "nothing was submitted")


def test_no_key_is_refused(world: World) -> None:
    world.write("cats.csv", CATS)
    refused(world.run("cats.csv", environment={"FAL_KEY": " "}), "There is no fal key.")


def test_a_wrong_key_is_refused(world: World, start_emulator: StartEmulator) -> None:
    strict = start_emulator(options=["--require-key=right:key", "--media=tiny"])
    world.write("cats.csv", CATS)
    environment = strict.environment | {"FAL_KEY": "wrong:key"}
    refused(world.run("cats.csv", environment=environment), "fal does not accept this key")
    assert strict.state()["accepted"]["total"] == 0


def test_a_fal_that_does_not_answer_is_refused(world: World) -> None:
    world.write("cats.csv", CATS)
    nobody = {"REELBATCH_FAL_QUEUE_URL": f"http://127.0.0.1:{free_port()}"}
    refused(world.run("cats.csv", environment=nobody), "fal cannot be reached")


def s3(weed: Weed, **changes: str) -> dict[str, str]:
    return {**weed.environment, **changes}


def test_an_archive_that_cannot_be_reached_is_refused(world: World, weed: Weed) -> None:
    world.write("cats.csv", CATS)
    gone = s3(weed, AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{free_port()}")
    refused(world.run("cats.csv", "--archive=s3://reels/a", environment=gone), "cannot be reached")


def test_a_bucket_that_does_not_exist_is_refused(world: World, weed: Weed) -> None:
    world.write("cats.csv", CATS)
    done = world.run("cats.csv", "--archive=s3://no-such-bucket/a", environment=s3(weed))
    refused(done, "no-such-bucket")


def test_wrong_credentials_for_the_archive_are_refused(world: World, weed: Weed) -> None:
    world.write("cats.csv", CATS)
    wrong = s3(weed, AWS_SECRET_ACCESS_KEY="wrong")
    refused(world.run("cats.csv", f"--archive=s3://{weed.bucket}/a", environment=wrong))


def test_an_archive_that_cannot_be_written_is_refused(world: World) -> None:
    world.write("cats.csv", CATS)
    world.write("archive", "a file stands in the way")
    refused(world.run("cats.csv"), str(world.archive))


def test_without_a_terminal_nobody_can_say_yes(world: World) -> None:
    world.write("cats.csv", CATS)
    refused(world.command("run", "cats.csv"), "There is no terminal to ask at", "--yes")


@pytest.mark.parametrize("budget", ["0", "-1", "much"])
def test_a_budget_that_is_none_is_refused(typed: Typed, world: World, budget: str) -> None:
    world.write("cats.csv", CATS)
    refused(typed("run", "cats.csv", "--yes", f"--budget={budget}"), "--budget: ")


@pytest.mark.parametrize("window", ["0", "-1", "many", "5001"])
def test_a_window_that_is_none_is_refused(typed: Typed, world: World, window: str) -> None:
    world.write("cats.csv", CATS)
    sentence = "must be auto, or a number from 1 to 5000"
    option = f"--max-in-flight={window}"
    refused(typed("run", "cats.csv", "--yes", option), f"--max-in-flight: {sentence}.")
    refused(typed("pause", "cats", option), f"--max-in-flight: {sentence}.")
    world.write("reelbatch.toml", f"max_in_flight = '{window}'")
    refused(typed("run", "cats.csv", "--yes"), f"REELBATCH_MAX_IN_FLIGHT: {sentence}.")


def test_a_ledger_that_was_lost_is_noticed_in_the_archive(world: World) -> None:
    """The archive knows the batch; a new ledger does not know what was paid for it."""
    world.write("cats.csv", CATS)
    assert world.run("cats.csv").code == 0
    world.fal.forget()
    new = {"REELBATCH_LEDGER": f"sqlite:///{world.folder}/new.db"}
    refused(world.run("cats.csv", environment=new), "belongs to another ledger")
    assert len(world.videos()) == 2


def test_another_archive_than_the_batch_began_with_is_refused(world: World) -> None:
    """Its videos are not there; moved with them, it is that archive."""
    world.write("cats.csv", CATS)
    assert world.run("cats.csv").code == 0
    world.fal.forget()
    other = f"--archive={world.folder}/other"
    refused(world.run("cats.csv", other), "began in the archive", "Leave --archive out")
    assert not (world.folder / "other/cats").exists()
    shutil.move(world.archive, world.folder / "other")
    moved = world.run("cats.csv", other)
    assert (moved.code, moved.json["archived"]) == (0, 2), moved.text


def test_a_ledger_of_a_newer_release_is_left_alone(typed: Typed, world: World) -> None:
    world.write("cats.csv", CATS)
    refused(typed("run", "cats.csv", "--archive", "videos"), "There is no terminal")
    with closing(sqlite3.connect(world.ledger)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    before = world.ledger.read_bytes()
    refused(typed("run", "cats.csv", "--yes"), "newer Reelbatch", "9999")
    assert world.ledger.read_bytes() == before


def test_another_programs_database_is_left_alone(typed: Typed, world: World) -> None:
    world.write("cats.csv", CATS)
    with closing(sqlite3.connect(world.ledger)) as database, database:
        database.execute("CREATE TABLE invoices (n)")
    before = world.ledger.read_bytes()
    refused(typed("run", "cats.csv", "--yes"), "is not a ledger of Reelbatch", "invoices")
    assert world.ledger.read_bytes() == before


def test_two_manifests_may_not_have_one_batch_name(world: World) -> None:
    world.write("cats.csv", CATS)
    other = world.write("other/cats.csv", CATS)
    assert world.run("cats.csv").code == 0
    world.fal.forget()
    refused(world.run(other), "A batch named 'cats' was already made from", "--batch")
