"""Names that become part of a path: batches, row ids, the folders of a template."""

from __future__ import annotations

import re
from datetime import date

from reelbatch.errors import Refused

NAME_CAP_BYTES = 150
"""File systems take 255; the rest is for `.r12.mp4` and temporary names."""

_UNSAFE = re.compile(r'[/\\:*?"<>|{}\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')


def unsafe_because(name: str) -> str | None:
    """Why a name cannot be part of a path, as the end of a sentence; None if it can."""
    if not name:
        return "is empty"
    if name.startswith("."):
        return "begins with a dot"
    if name != name.strip():
        return "begins or ends with a space"
    if character := _UNSAFE.search(name):
        return f"holds {character.group()!r}"
    if len(name.encode()) > NAME_CAP_BYTES:
        return f"is longer than {NAME_CAP_BYTES} bytes"
    return None


def made_safe(text: str, *, empty: str = "none") -> str:
    """The text as part of a path: what is unsafe becomes a hyphen."""
    return _UNSAFE.sub("-", text).strip().lstrip(".").strip() or empty


def batch_name(text: str, today: date) -> str:
    """The name `--batch` gives, its `{date}` filled in. Raises Refused if it is unsafe."""
    name = text.replace("{date}", today.isoformat())
    if reason := unsafe_because(name):
        raise Refused(
            f"The batch name {name!r} {reason}.",
            advice="Use letters, digits, hyphens and dots; {date} is the only field it may hold.",
        )
    return name
