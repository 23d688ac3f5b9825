"""Keep the webhook's token out of the logs: httpx writes every URL at INFO.

Only what follows `fal_webhook=` is cut, on httpx's own logger; every other line stays.
"""

from __future__ import annotations

import logging
import re

_WEBHOOK = re.compile(r"(fal_webhook=)[^&\s]+")


class WithoutWebhooks(logging.Filter):
    """Rewrites a record's URL; drops no record."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_cut(value) for value in record.args)
        return True


def _cut(value: object) -> object:
    text = str(value) if not isinstance(value, int | float) else ""
    return _WEBHOOK.sub(r"\1...", text) if "fal_webhook=" in text else value


_FILTER = WithoutWebhooks()


def hide_webhooks() -> None:
    """Once for the process; again is no harm."""
    logging.getLogger("httpx").addFilter(_FILTER)
