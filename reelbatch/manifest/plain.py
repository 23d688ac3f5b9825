"""Files that are nothing but rows: CSV, Excel and JSONL, told apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from reelbatch.manifest.csv_table import csv_records
from reelbatch.manifest.encoding import encoding_said
from reelbatch.manifest.excel_table import excel_records
from reelbatch.manifest.jsonl_rows import jsonl_rows
from reelbatch.manifest.places import Source
from reelbatch.manifest.raw import RawRow
from reelbatch.manifest.rows import Fault
from reelbatch.manifest.table import Table

Kind = Literal["csv", "excel", "jsonl", "yaml"]

_BY_SUFFIX: Mapping[str, Kind] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xls": "excel",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "yaml",  # every JSON is YAML, and its rows get line numbers
}


def plain_rows(source: Source, supplied: frozenset[str], found: list[Fault]) -> Iterator[RawRow]:
    """The rows of a file that is nothing but rows; `supplied` columns have defaults elsewhere."""
    table = Table(file=source.file, folder=source.folder, supplied=supplied)
    kind = kind_of(source)
    if kind == "excel":
        return table.rows(excel_records(source.content), found)
    encoding = encoding_said(source.content, source.file, found)
    if kind == "jsonl":
        return jsonl_rows(source, encoding, found)
    return table.rows(csv_records(source.content, encoding, file=source.file, found=found), found)


def kind_of(source: Source) -> Kind:
    """By its first bytes where those are plain, else by its name, else CSV."""
    start = source.content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"PK\x03\x04"):
        return "excel"
    if source.suffix in _BY_SUFFIX:
        return _BY_SUFFIX[source.suffix]
    return "jsonl" if start.startswith(b"{") else "csv"
