"""`{batch}/index.parquet` and `index.csv`: one line for each take, results beside its inputs.

Parquet has the exact values. The CSV is for spreadsheets: it begins with a byte order mark,
or Excel garbles its umlauts, and a text that Excel would run as a formula gets an apostrophe.
The prompts may be the reader's own; fal's errors and a colleague's sheet are not.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from reelbatch.archive.contract import Archive
from reelbatch.jobs import BatchId
from reelbatch.money import as_text

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, object]

FIRST = ("row_id", "take", "revision")
RESULTS = ("status", "video", "sha256", "request_id", "cost_usd", "error")
WHOLE_NUMBERS = frozenset({"take", "revision", "line", "seed", "num_inference_steps"})
MONEY = "cost_usd"
ROWS_AT_ONCE = 5_000
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_index(archive: Archive, batch: BatchId, rows: Iterable[Row]) -> None:
    """Write both, anew. Columns: row_id, take, revision, the results, then the others as they come.

    Columns are text but for whole numbers and `cost_usd` (a decimal); rows may differ in them.
    """
    table = _table(rows)
    archive.put(f"{batch}/index.parquet", _parquet(table), "application/vnd.apache.parquet")
    archive.put(f"{batch}/index.csv", _csv(table), "text/csv; charset=utf-8")


def _table(rows: Iterable[Row]) -> pa.Table:
    """All rows as columns, a few thousand at a time, so that only the compact form is held."""
    import pyarrow as pa

    parts = [_part(chunk) for chunk in _chunks(rows)] or [_part([])]
    return pa.concat_tables(parts, promote_options="default")


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while chunk := list(itertools.islice(remaining, ROWS_AT_ONCE)):
        yield chunk


def _part(rows: list[Row]) -> pa.Table:
    """Read from lines of JSON: `pa.array` would first import pandas, for half a second."""
    import pyarrow as pa
    from pyarrow.json import ParseOptions, ReadOptions, read_json

    columns = dict.fromkeys((*FIRST, *RESULTS, *itertools.chain.from_iterable(rows)))
    schema = pa.schema([(name, _type(name)) for name in columns])
    if not rows:
        return pa.Table.from_batches([], schema)
    lines = [json.dumps({name: _value(name, row.get(name)) for name in columns}) for row in rows]
    content = "\n".join(lines).encode()
    return read_json(
        io.BytesIO(content),
        ReadOptions(use_threads=False, block_size=len(content) + 1),
        ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
    )


def _type(name: str) -> pa.DataType:
    import pyarrow as pa

    if name in WHOLE_NUMBERS:
        return pa.int64()
    return pa.decimal128(18, 6) if name == MONEY else pa.string()


def _value(name: str, value: object) -> int | str | None:
    if name not in WHOLE_NUMBERS and name != MONEY:
        return _text(value)
    if value is None or value == "":
        return None
    return int(str(value)) if name in WHOLE_NUMBERS else str(value)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _parquet(table: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _csv(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with io.TextIOWrapper(sink, encoding="utf-8-sig", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(_cell(name) for name in table.column_names)
        for part in table.to_batches(max_chunksize=ROWS_AT_ONCE):
            columns = (column.to_pylist() for column in part.columns)
            writer.writerows([_cell(value) for value in row] for row in zip(*columns, strict=True))
        text.flush()
        return sink.getvalue()


def _cell(value: object) -> str:
    """One cell; a number stays a number."""
    match value:
        case None:
            return ""
        case Decimal():
            return as_text(value)
        case str() if value.startswith(FORMULA_STARTS) and not NUMBER.fullmatch(value):
            return f"'{value}"
    return str(value)
