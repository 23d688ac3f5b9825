"""The index has a line for each take: exact in Parquet, safe for a spreadsheet in CSV."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from reelbatch.archive.contract import Archive
from reelbatch.archive.index import write_index
from reelbatch.archive.open import open_archive
from reelbatch.jobs import BatchId

CATS = BatchId("cats")
ROW: Mapping[str, object] = {
    "row_id": "row-1",
    "take": 1,
    "revision": 2,
    "prompt": "A cat, <S>miaow<E>\nand a dog",
    "seed": 7,
    "campaign": "Frühling",
    "status": "archived",
    "video": "cats/row-1/take-1.r2.mp4",
    "sha256": "ab" * 32,
    "request_id": "764cabcf",
    "cost_usd": "0.20",
    "error": None,
}


@pytest.fixture
def folder(tmp_path: Path) -> Archive:
    return open_archive(str(tmp_path / "archive"))


def _parquet(archive: Archive) -> list[dict[str, object]]:
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(archive.read("cats/index.parquet") or b""))
    rows: list[dict[str, object]] = table.to_pylist()
    return rows


def _csv(archive: Archive) -> list[dict[str, str]]:
    text = (archive.read("cats/index.csv") or b"").decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_results_stand_beside_the_input_columns(folder: Archive) -> None:
    write_index(folder, CATS, [ROW])
    (row,) = _parquet(folder)
    assert list(row) == [
        *("row_id", "take", "revision"),
        *("status", "video", "sha256", "request_id", "cost_usd", "error"),
        *("prompt", "seed", "campaign"),
    ]
    assert row == {**ROW, "cost_usd": Decimal("0.200000")}


def test_the_csv_says_the_same(folder: Archive) -> None:
    write_index(folder, CATS, [ROW])
    (row,) = _csv(folder)
    assert row == {
        **{name: str(value) for name, value in ROW.items()},
        "error": "",
        "cost_usd": "0.20",
    }


def test_excel_reads_its_umlauts(folder: Archive) -> None:
    write_index(folder, CATS, [ROW])
    assert (folder.read("cats/index.csv") or b"").startswith(b"\xef\xbb\xbfrow_id,take")


@pytest.mark.parametrize("prompt", ["=HYPERLINK(1)", "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_never_runs_as_a_formula(folder: Archive, prompt: str) -> None:
    """In the CSV it gets an apostrophe; Parquet keeps it as it is."""
    write_index(folder, CATS, [{**ROW, "prompt": prompt}])
    assert _csv(folder)[0]["prompt"] == f"'{prompt}"
    assert _parquet(folder)[0]["prompt"] == prompt


def test_a_number_stays_a_number(folder: Archive) -> None:
    write_index(folder, CATS, [{**ROW, "warmth": "-3.5"}])
    assert _csv(folder)[0]["warmth"] == "-3.5"


def test_rows_may_differ_in_their_columns(folder: Archive) -> None:
    """An edited manifest brings new labels; a text row has no image."""
    write_index(folder, CATS, [{"row_id": "a", "mood": "calm"}, {"row_id": "b", "seed": "12"}])
    first, second = _parquet(folder)
    assert (first["mood"], first["seed"]) == ("calm", None)
    assert (second["mood"], second["seed"]) == (None, 12)


def test_values_of_any_kind_become_text(folder: Archive) -> None:
    write_index(folder, CATS, [{"row_id": "a", "tags": ["x", "ü"], "done": True, "size": 1.5}])
    (row,) = _parquet(folder)
    assert (row["tags"], row["done"], row["size"]) == ('["x", "ü"]', "True", "1.5")


def test_no_rows_are_a_table_with_its_columns(folder: Archive) -> None:
    write_index(folder, CATS, [])
    assert _parquet(folder) == []
    assert (folder.read("cats/index.csv") or b"").count(b",") == 8


def test_it_is_written_anew(folder: Archive) -> None:
    write_index(folder, CATS, [ROW])
    write_index(folder, CATS, [ROW, {**ROW, "take": 2}])
    assert len(_parquet(folder)) == len(_csv(folder)) == 2


def test_many_rows_come_one_after_the_other(folder: Archive) -> None:
    """They are taken from an iterator, and a column may first appear late."""

    def rows() -> Iterator[Mapping[str, object]]:
        for n in range(12_000):
            yield {**ROW, "row_id": f"row-{n}"}
        yield {**ROW, "row_id": "last", "late": "here"}

    write_index(folder, CATS, rows())
    kept = _parquet(folder)
    assert len(kept) == 12_001
    assert (kept[0]["late"], kept[-1]["late"]) == (None, "here")
    assert _csv(folder)[-1]["row_id"] == "last"


@pytest.mark.parametrize("rows", ["[]", "[{'row_id': 'a', 'take': 1, 'cost_usd': '0.20'}]"])
def test_no_pandas_is_imported_for_it(rows: str, tmp_path: Path) -> None:
    """It would take a short run longer than all its own work."""
    written = (
        "import sys; from reelbatch.archive.index import write_index; "
        "from reelbatch.archive.open import open_archive; "
        f"write_index(open_archive({str(tmp_path)!r}), 'cats', {rows}); "
        "sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", written], check=False).returncode == 0
    assert (tmp_path / "cats" / "index.parquet").exists()
