"""The file in a result payload, found by the endpoint's own path. Also used for webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from reelbatch.fal.answers import GoodResult, OutputFile


def good_result(
    payload: Any,
    output: Sequence[str] = ("video",),
    *,
    billable_units: Decimal | None = None,
) -> GoodResult | None:
    """The payload as a good result; None if there is no usable file at the path."""
    file = output_file(payload, output) if isinstance(payload, dict) else None
    if file is None:
        return None
    seed = payload.get("seed")
    return GoodResult(
        payload=payload,
        output=file,
        seed=seed if isinstance(seed, int) else None,
        billable_units=billable_units,
    )


def output_file(payload: Mapping[str, Any], output: Sequence[str]) -> OutputFile | None:
    """Only a URL makes a file; the rest fal may leave out (fal.md, section 14)."""
    file: Any = payload
    for name in output:
        file = file.get(name) if isinstance(file, dict) else None
    url = file.get("url") if isinstance(file, dict) else None
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        return None
    size = file.get("file_size")
    return OutputFile(
        url=url,
        content_type=_text(file.get("content_type")),
        file_name=_text(file.get("file_name")),
        file_size=size if isinstance(size, int) and size > 0 else None,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
