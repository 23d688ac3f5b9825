"""Rows of a JSONL file: one object a line, every value as it is written."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

from reelbatch.config import ROW_CAP_BYTES
from reelbatch.manifest.encoding import Encoding
from reelbatch.manifest.faults import Unreadable, shown
from reelbatch.manifest.keyed import KeyedRows, keyed_rows
from reelbatch.manifest.places import Source
from reelbatch.manifest.raw import RawRow
from reelbatch.manifest.rows import Fault
from reelbatch.media.remote import megabytes


class _Pairs(list[tuple[str, Any]]):
    """An object's keys and values, those that are there twice included."""


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=str
)


def jsonl_rows(source: Source, encoding: Encoding, found: list[Fault]) -> Iterator[RawRow]:
    """The rows; a line that is no object becomes a fault. Raises Unreadable if all is blank."""
    rows = keyed_rows(source.file, source.folder, found)
    stream = io.TextIOWrapper(io.BytesIO(source.content), encoding=encoding.name)
    is_blank = True
    for number, line in enumerate(stream, 1):
        if line.isspace():
            continue
        is_blank = False
        values = _values(rows, number, line)
        if values is not None:
            yield rows.row(values, number, {})
    if is_blank:
        raise Unreadable(
            "The manifest is empty.",
            error="manifest-empty",
            advice="`reelbatch init --example` writes a first one to edit.",
        )


def _values(rows: KeyedRows, number: int, line: str) -> dict[str, str] | None:
    if len(line) > ROW_CAP_BYTES:
        what = f"The row has {megabytes(len(line))}; {megabytes(ROW_CAP_BYTES)} is the most."
        rows.wrong(number, "row-too-large", what, "Put a large image into a file.")
        return None
    pairs = _parsed(rows, number, line)
    if not isinstance(pairs, _Pairs):
        return None
    values: dict[str, str] = {}
    for key, value in pairs:
        if isinstance(value, list):
            what = f"{key} has several values, a cell has one."
            rows.wrong(number, "cell-not-single", what, "Write one value.")
        elif key in values:
            what = f"The key {shown(key)} is there twice."
            rows.wrong(number, "key-twice", what, "Keep one of them.")
        else:
            values[key] = _text(value)
    return values if len(values) == len(pairs) else None


def _parsed(rows: KeyedRows, number: int, line: str) -> Any:
    advice = 'Each line is one object: {"prompt": "..."}.'
    try:
        pairs = _DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deep"
        rows.wrong(number, "row-not-json", f"The line is no JSON: {reason}.", advice)
        return None
    if not isinstance(pairs, _Pairs):
        rows.wrong(number, "row-not-object", "The line is no JSON object.", advice)
    return pairs


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)
