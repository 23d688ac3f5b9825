"""What kind of file a manifest is, and its rows: CSV, Excel, JSONL or YAML."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from reelbatch.manifest.csv_table import csv_records
from reelbatch.manifest.encoding import encoding_of
from reelbatch.manifest.places import Read, Source
from reelbatch.manifest.raw import RawRow
from reelbatch.manifest.rows import Fault
from reelbatch.manifest.table import Table


@dataclass(frozen=True, kw_only=True)
class Document:
    """A manifest's own words about itself, and its rows, read as they are asked for."""

    name: str
    archive: str | None = None
    budget_usd: Decimal | None = None
    rows: Iterable[RawRow] = ()


def read_document(source: Source, read: Read, found: list[Fault]) -> Document:
    """The document of a source. Raises Unreadable, at once or while its rows are read."""
    return Document(name=source.stem, rows=plain_rows(source, frozenset(), found))


def plain_rows(source: Source, supplied: frozenset[str], found: list[Fault]) -> Iterable[RawRow]:
    """The rows of a file that is nothing but rows; `supplied` columns have defaults elsewhere."""
    encoding = encoding_of(source.content)
    records = csv_records(source.content, encoding, file=source.file, found=found)
    return Table(file=source.file, folder=source.folder, supplied=supplied).rows(records, found)
