"""Records of a workbook's first sheet; a cell is what a person sees, whole numbers without `.0`."""

from __future__ import annotations

import datetime
import io
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reelbatch.manifest.faults import Unreadable
from reelbatch.manifest.table import Record
from reelbatch.media.remote import megabytes

UNPACKED_CAP_BYTES = 1024**3
"""A workbook is a zip; a small one could unpack to anything."""


def excel_records(content: bytes) -> Iterator[Record]:
    """Every line of the first sheet, as wide as its header. Raises Unreadable."""
    _check_size(content)
    width: int | None = None
    for number, values in enumerate(_lines(content), 1):
        cells = [_text(value) for value in values]
        while cells and not cells[-1]:
            cells.pop()
        if width is None and cells:
            width = len(cells)
        if cells and width:
            cells += [""] * (width - len(cells))
        yield Record(first_line=number, last_line=number, cells=cells)


def _lines(content: bytes) -> Iterator[tuple[Any, ...]]:
    """The sheet's lines; openpyxl's warnings of styles and extensions do not concern us."""
    with _workbook():
        import openpyxl

        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # Google's exports say A1, whatever the sheet holds
        lines = sheet.iter_rows(values_only=True)
    while True:
        with _workbook():
            line = next(lines, None)
        if line is None:
            return
        yield line


def _check_size(content: bytes) -> None:
    with _workbook(), zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > UNPACKED_CAP_BYTES:
        raise _broken(f"it unpacks to {megabytes(size)}")


@contextmanager
def _workbook() -> Iterator[None]:
    """Around all that looks into the workbook. Raises Unreadable."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except zipfile.BadZipFile as error:
            raise _broken("it is no .xlsx") from error
        except Exception as error:  # zipfile and openpyxl raise what they like on broken bytes
            raise _broken(f"{type(error).__name__}: {error}"[:120]) from error


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case datetime.datetime() if value.time() == datetime.time.min:
            return value.date().isoformat()
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case _:
            return str(value)


def _broken(reason: str) -> Unreadable:
    return Unreadable(
        f"The workbook cannot be read: {reason}.",
        error="excel-broken",
        advice="Save it again as .xlsx, or as CSV in UTF-8.",
    )
