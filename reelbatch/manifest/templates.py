"""`{column}` in a YAML manifest's cells: the row's other cells, filled in once.

Only what stands in YAML is a template; the cells of an included CSV are data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from reelbatch.errors import Permanent
from reelbatch.manifest.columns import ALIASES
from reelbatch.manifest.faults import shown

_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its fields filled. Raises Permanent `template_unknown_column`."""
    return _FIELD.sub(lambda match: _value(match, values), text) if "{" in text else text


def _value(match: re.Match[str], values: Mapping[str, str]) -> str:
    if match.group() in ("{{", "}}"):
        return match.group()[0]
    name = match[1].strip()
    name = name if name in values else ALIASES.get(name, name)
    if name not in values:
        raise Permanent(
            f"The template names {shown(match.group())}, which is no column of this row.",
            advice="Name a column, or write {{ and }} for braces.",
            error="template_unknown_column",
        )
    return values[name]
