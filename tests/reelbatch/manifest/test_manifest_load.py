"""Loading as a whole: it never raises, and it stays small and quick."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelbatch.config import Settings
from reelbatch.manifest import load_manifest
from tests.reelbatch.manifest.manifest_parts import REPOSITORY, Desk, codes, sound

SHARED_DESK = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

HEAVY = ("pandas", "openpyxl", "boto3", "yaml", "PIL", "urllib3", "httpx")

LOAD = """
import sys
from pathlib import Path
from reelbatch.config import Settings
from reelbatch.manifest import load_manifest

def peak_megabytes():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024

manifest = load_manifest(sys.argv[1], settings=Settings())
"""

csv_like = st.text(
    st.sampled_from('prompt,image,seed,takes,output,id\n"\r;\t <S>E/{}.x1-é'), max_size=200
).map(lambda text: f"prompt,image,seed,output,id\n{text}")
yaml_like = st.text(st.sampled_from("rows:- {}[]&*!?|>'\"\n promt,<x1~#"), max_size=200)


def run(script: str, path: Path) -> str:
    """What the script prints about this manifest, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


@SHARED_DESK
@given(
    content=st.binary(max_size=300) | csv_like.map(str.encode) | yaml_like.map(str.encode),
    name=st.sampled_from(["a.csv", "a.yaml", "a.jsonl", "a.json", "a.xlsx", "a"]),
)
def test_no_bytes_whatever_make_it_raise(desk: Desk, content: bytes, name: str) -> None:
    manifest = desk.load(content, name)
    assert manifest.rows or manifest.faults
    assert len({row.row_id for row in manifest.rows}) == len(manifest.rows)


@SHARED_DESK
@given(
    prompt=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1),
    label=st.text(st.characters(codec="utf-8", exclude_characters="\x00")),
)
def test_any_text_can_be_a_prompt_or_a_label(desk: Desk, prompt: str, label: str) -> None:
    cells = [text.replace('"', '""') for text in (f"x{prompt}x", f"x{label}x")]
    manifest = desk.load('prompt,mood\n"{}","{}"\n'.format(*cells).encode("utf-16"))
    (row,) = manifest.rows
    assert row.arguments["prompt"] == f"x{prompt}x"
    assert row.labels["mood"] == f"x{label}x"


def test_faults_come_in_reading_order(desk: Desk) -> None:
    text = "prompt,image,output\na,nope.png,\n,,x\na cat,,same\na dog,,same\nx\n"
    assert codes(desk.load(text)) == [
        "image-missing",
        "prompt-empty",
        "output-collides",
        "row-too-short",
    ]


def test_progress_hears_how_many_rows_were_read(desk: Desk) -> None:
    path = desk.write("cats.csv", "prompt\n" + "a cat\n" * 1200)
    heard: list[int] = []
    load_manifest(str(path), settings=Settings(), progress=heard.append)
    assert heard == [500, 1000, 1200]


@pytest.mark.skipif(sys.platform != "linux", reason="reads its peak from /proc")
def test_a_hundred_thousand_rows_load_in_seconds_and_little_memory(tmp_path: Path) -> None:
    """Design: under 8 s and about 200 MB. The clock here is generous: machines differ."""
    path = tmp_path / "many.csv"
    with path.open("w") as file:
        file.write("id,prompt,speech,seed,resolution,campaign,region\n")
        for n in range(100_000):
            shot = f"A slow shot of ceramic mug number {n} on a wooden table at sunrise"
            file.write(f"row-{n},{shot},Good morning,{n},992x512,c{n % 7},emea\n")
    done = run(f"{LOAD}\nprint(len(manifest.rows), len(manifest.faults), peak_megabytes())\n", path)
    rows, faults, peak_megabytes = map(int, done.split())
    assert (rows, faults) == (100_000, 0)
    assert peak_megabytes < 250


def test_reading_a_csv_imports_nothing_heavy(desk: Desk) -> None:
    path = desk.write("cats.csv", "prompt\na cat\n")
    done = run(f"{LOAD}\nfor name in {HEAVY!r}:\n    if name in sys.modules: print(name)\n", path)
    assert done == ""


def test_identical_rows_do_not_slow_each_other_down(desk: Desk) -> None:
    manifest = sound(desk.load("prompt\n" + "a cat\n" * 20_000))
    assert len({row.row_id for row in manifest.rows}) == 20_000
