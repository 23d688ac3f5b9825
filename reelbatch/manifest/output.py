"""Where a video goes below the archive's root: a name template, always inside `{batch}/`.

From the second revision on `.r{revision}` stands before the extension of any template, so
a new making of a take never meets the old one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from string import Formatter

from reelbatch.errors import Permanent
from reelbatch.manifest.faults import shown
from reelbatch.manifest.names import made_safe, unsafe_because
from reelbatch.manifest.rows import Fault, Row

DEFAULT_OUTPUT = "{batch}/{row_id}/take-{take}.mp4"
EXTENSION = ".mp4"
KEY_CAP_BYTES = 900
"""S3 takes 1024; the rest is for the archive's own prefix."""

_RESERVED = frozenset({"batch", "index"})
"""`batch.json` and `index.parquet` lie in the batch's folder; a sidecar must not be them."""

_PADDING = re.compile(r"0?\d{0,2}d?")
_NUMBERS = frozenset({"take", "revision"})
_REVISION = re.compile(r"\.r\d+(?=\.mp4$)")


def render_output(
    template: str | None,
    *,
    batch: str,
    row_id: str,
    take: int,
    revision: int,
    labels: Mapping[str, str],
) -> str:
    """The video's key below the archive's root, inside `{batch}/`.

    Raises Permanent for a template that has an unknown field or leaves the batch.
    """
    fields = {name: made_safe(value) for name, value in labels.items()}
    fields |= {"batch": made_safe(batch), "row_id": made_safe(row_id), "id": made_safe(row_id)}
    numbers = {"take": take, "revision": revision}
    below = (template or DEFAULT_OUTPUT).strip().removeprefix("{batch}/")
    rendered = _filled(below, fields, numbers)
    stem = rendered[: -len(EXTENSION)] if rendered.lower().endswith(EXTENSION) else rendered
    _check_inside(stem, template or DEFAULT_OUTPUT)
    suffix = f".r{revision}" if revision > 1 else ""
    return f"{fields['batch']}/{stem}{suffix}{EXTENSION}"


def collisions(rows: Iterable[Row], batch: str) -> Iterable[tuple[Row, Fault]]:
    """Every row one of whose videos would have the name of another's."""
    rows = list(rows)
    if not any(row.output for row in rows):
        return
    taken: dict[str, tuple[Row, int]] = {}
    for row in rows:
        for take in range(1, row.takes + 1):
            key = _REVISION.sub("", _key(row, take, batch))
            other = taken.setdefault(key, (row, take))
            if other != (row, take):
                yield row, _collision(row, take, key, *other)
                break


def _key(row: Row, take: int, batch: str) -> str:
    return render_output(
        row.output, batch=batch, row_id=row.row_id, take=take, revision=1, labels=row.labels
    )


def _collision(row: Row, take: int, key: str, other: Row, other_take: int) -> Fault:
    if other is row:
        message = f"Takes {other_take} and {take} would both be {key}."
        advice = "Put {take} into the output."
    else:
        message = f"Its video {key} would also be that of {other.file}:{other.line}."
        advice = "Put {row_id} or a label that differs into the output."
    return Fault(
        file=row.file,
        line=row.line,
        column="output",
        code="output-collides",
        message=message,
        advice=advice,
    )


def _filled(template: str, fields: Mapping[str, str], numbers: Mapping[str, int]) -> str:
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise _bad(template, f"is no template: {error}", "template_invalid") from None
    return "".join(
        literal + ("" if name is None else _value(template, name, spec, how, fields, numbers))
        for literal, name, spec, how in parts
    )


def _value(
    template: str,
    name: str,
    spec: str | None,
    conversion: str | None,
    fields: Mapping[str, str],
    numbers: Mapping[str, int],
) -> str:
    if name not in fields and name not in numbers:
        known = ", ".join(sorted({*fields, *numbers} - {"id"}))
        raise _bad(template, f"has an unknown field {name!r}", "unknown_field", f"Use {known}.")
    if conversion or (spec and (name not in _NUMBERS or not _PADDING.fullmatch(spec))):
        advice = "Only numbers may be padded: {take:02}."
        raise _bad(template, f"formats {name!r} in a way we do not", "template_invalid", advice)
    return format(numbers[name], spec or "") if name in numbers else fields[name]


def _check_inside(stem: str, template: str) -> None:
    """A relative path of safe names. Raises Permanent for anything else."""
    for part in stem.split("/"):
        if part in ("", ".", ".."):
            advice = "Write a relative path such as {campaign}/{row_id}-{take}.mp4."
            raise _bad(template, "climbs out of the batch's folder", "outside_archive", advice)
        if reason := unsafe_because(part):
            raise _bad(template, f"makes a name that {reason}: {shown(part)}", "unsafe_name")
    if len(stem.encode()) > KEY_CAP_BYTES:
        raise _bad(template, f"makes a name longer than {KEY_CAP_BYTES} bytes", "unsafe_name")
    if stem in _RESERVED:
        raise _bad(template, f"makes the name {stem!r}, which the archive keeps", "unsafe_name")


def _bad(template: str, what: str, error: str, advice: str = "") -> Permanent:
    return Permanent(
        f"The output {shown(template)} {what}.",
        advice=advice or "Write a relative path such as {campaign}/{row_id}-{take}.mp4.",
        error=f"output_{error}",
    )
