"""Where alerts go, and in what form. The address is a secret: it is never shown."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from reelbatch.config import is_https, is_loopback
from reelbatch.errors import Refused

_CARD = {
    "type": "AdaptiveCard",
    "version": "1.4",
    "body": [
        {"type": "TextBlock", "text": "{{ subject }}", "weight": "bolder", "wrap": True},
        {"type": "TextBlock", "text": "{{ body }}", "wrap": True},
    ],
}
FORMS: Mapping[str, dict[str, Any]] = {
    "text": {"text": "{{ subject }}\n{{ body }}"},
    "teams": {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "content": _CARD}
        ],
    },
    "json": {"subject": "{{ subject }}", "body": "{{ body }}"},
}
"""The body of one POST; Prefect fills in both words."""


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A webhook that takes messages."""

    url: str = field(repr=False)
    form: str


def read_channel(form: str, known: SecretStr | None) -> Channel:
    """The address from the settings, else from standard input; a terminal does not show it.

    Raises Refused.
    """
    if form not in FORMS:
        raise Refused(f"--as: {form!r} is unknown.", advice=f"Choose one of {', '.join(FORMS)}.")
    url = (known.get_secret_value() if known else _read()).strip()
    if not is_https(url) and not is_loopback(url):
        raise Refused(
            "The address for alerts must be https (http is for loopback only).",
            advice="Set REELBATCH_ALERTS_URL, or write it to standard input.",
        )
    return Channel(url=url, form=form)


def _read() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("Address of the webhook (not shown): ")
    return sys.stdin.readline()
